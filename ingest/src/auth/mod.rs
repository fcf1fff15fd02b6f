//! May this publisher publish, and under what name?
