//! One program of all tests.
