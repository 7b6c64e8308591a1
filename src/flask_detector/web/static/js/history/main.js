/** The history: what is deleted, or undone, leaves the page where it is. */

import "../shared/keep.js";
import "../shared/menu.js";
import "../shared/refresh.js";
import "../shared/stay.js";
