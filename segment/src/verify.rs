//! Is this the answer to that question?
