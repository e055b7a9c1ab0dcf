//! Runs seeds, one after the other or several at once.
