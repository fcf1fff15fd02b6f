//! Holds the listeners and the watchdog; starts generations.
