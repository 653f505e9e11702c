//! Which claims no metadata may set, and which names consumers read rights out of.

use super::MetadataPath;

/// Claims that every JWT of Latchkey sets itself, or leaves out on purpose (RFC 7519 section 4.1). Metadata never set
/// them.
pub const OWN_CLAIMS: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "userName", "email"];

/// Further claims that consumers act on: `OpenID` Connect Core 1.0 sections 2 and 5.1, RFC 7800 section 3.1, RFC 8693
/// section 4, RFC 9068 section 2.2. No new field may set one; a field that came with an imported application does.
pub const CLAIMS_OF_MEANING: [&str; 14] = [
    "azp",
    "nonce",
    "auth_time",
    "at_hash",
    "c_hash",
    "acr",
    "amr",
    "cnf",
    "act",
    "may_act",
    "sid",
    "email_verified",
    "phone_number_verified",
    "client_id",
];

/// Words for rights, or for facts that rights depend on.
const WORDS: [&str; 25] = [
    "access",
    "acl",
    "acr",
    "act",
    "amr",
    "auth",
    "azp",
    "claims",
    "cnf",
    "grant",
    "grants",
    "moderator",
    "org",
    "orgs",
    "owner",
    "perm",
    "perms",
    "rights",
    "root",
    "scp",
    "sid",
    "staff",
    "sudo",
    "super",
    "trusted",
];

/// Parts of a name that mean rights in any spelling: `isAdmin`, `ISADMIN`, `is_admin`.
const STEMS: [&str; 15] = [
    "admin",
    "appmetadata",
    "authori",
    "entitle",
    "group",
    "hasura",
    "organi",
    "permission",
    "policy",
    "privilege",
    "role",
    "scope",
    "superuser",
    "tenant",
    "verified",
];

impl MetadataPath {
    /// Whether consumers usually read rights out of a claim of this name: any of its names, in any spelling.
    /// A list of words cannot know every consumer, so this is for warnings, and decides nothing.
    #[must_use]
    pub fn speaks_of_authority(&self) -> bool {
        self.names().iter().any(|name| {
            let plain: String =
                name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
            name.contains("://")
                || STEMS.iter().any(|stem| plain.contains(stem))
                || words(name).iter().any(|word| WORDS.contains(&word.as_str()))
        })
    }
}

/// Splits a name into words: `tenantId`, `tenant_id` and `tenant-id` have the same two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words
}
