//! Empty: this package holds the integration tests (`it`) and the benches.
