//! The conformance suite on every database that must pass it: the same list on each.

mod sqlite {
    latchkey_storage::conformance_suite!(latchkey_test_support::TestDatabase::sqlite);
}

mod postgres {
    latchkey_storage::conformance_suite!(latchkey_test_support::TestDatabase::postgres);
}

/// Serializable, and every tenth write loses a race.
mod postgres_faulty {
    latchkey_storage::conformance_suite!(latchkey_test_support::TestDatabase::postgres_faulty);
}

/// Spread over partitions by application.
mod postgres_partitioned {
    latchkey_storage::conformance_suite!(latchkey_test_support::TestDatabase::postgres_partitioned);
}
