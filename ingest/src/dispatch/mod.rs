//! Gets one segment transcoded before its deadline, whatever the nodes do.
