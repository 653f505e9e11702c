//! What can be typed after `cargo xtask`.

xflags::xflags! {
    /// Contributors' commands.
    cmd xtask {
        /// Build and run all tests on SQLite and on a temporary PostgreSQL.
        cmd test {
            /// Leave PostgreSQL out.
            optional --sqlite
            /// What to run, as cargo takes it: `-- -p latchkey-storage`, or part of a test's name.
            repeated arguments: String
        }
        /// Everything that continuous integration runs, in its order.
        cmd ci {}
        /// Layers, module headers, file sizes, migrations, words.
        cmd tidy {}
        /// Verify a fresh token with libraries that nobody here wrote.
        cmd interop {}
        /// Ask a release binary whatever its description of the API allows, and more.
        cmd fuzz-api {
            /// For so long, instead of a bounded number of requests.
            optional --seconds seconds: u32
        }
        /// Look at the pages in headless Chromium.
        cmd browser {}
        /// Run nginx, Caddy and HAProxy as docs/proxies.md says.
        cmd proxies {}
        /// Compare what the crates offer to others with what xtask/public-api lists.
        cmd public-api {
            /// Write the lists.
            optional --update
        }
        /// Run the tests of the security requirements, and print which requirements they prove.
        cmd security {}
        /// Change the code in small ways and see whether a test notices: hours, and it goes on where it was stopped.
        cmd mutants {
            /// One part: domain, crypto or service.
            optional part: String
        }
    }
}
