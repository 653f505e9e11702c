-- Nothing to revert: an empty column opens nothing in the version before, as the sealed empty value did.
SELECT 1;
