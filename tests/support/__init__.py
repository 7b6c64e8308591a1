"""What tests share: real servers and workers, faults to meet, small pictures, and how to wait."""
