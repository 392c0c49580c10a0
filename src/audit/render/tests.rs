//! Every format is what its readers take.
