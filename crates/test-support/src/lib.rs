//! Shared test support: temporary databases on both engines, and faulty stores.
//! Nothing here is part of the product.

mod database;
mod stores;

pub use database::{TestDatabase, Variant};
pub use latchkey_storage::diesel::DatabaseLocation;
pub use stores::{Interleaving, Paused, broken, twice};
