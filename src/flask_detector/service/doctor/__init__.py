"""`flask-detector doctor`: what is checked, one file a group of checks."""
