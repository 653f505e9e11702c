"""Lints the API description, generates clients from it in several languages, compiles them, and logs in with them."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

HERE = pathlib.Path(__file__).parent
WORK = pathlib.Path(sys.argv[1])
URL = os.environ["LATCHKEY_URL"]
BIN = pathlib.Path(sys.executable).parent
TOKEN = os.environ["LATCHKEY_APP"].split(",")[1]
NODE = {**os.environ, "PATH": f"{HERE / 'node_modules/.bin'}:{os.environ['PATH']}"}
CARGO = """[package]
name = "latchkey-client-login"
version = "0.0.0"
edition = "2021"

[dependencies]
latchkey_client = { path = "../rust", default-features = false }
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }

[[bin]]
name = "login"
path = "login.rs"

[workspace]
"""


def run(*command, **options):
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    output = finished.stdout + finished.stderr
    if finished.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{output[-4000:]}")
    return output


def user(name):
    password = hashlib.md5(b"correct horse battery staple").hexdigest()
    return {**NODE, "APP_TOKEN": TOKEN, "HANDLE": f"{name}@example.com", "PASSWORD": password}


shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir(parents=True)
description = WORK / "openapi.json"
description.write_bytes(urllib.request.urlopen(f"{URL}/openapi.json").read())

run("redocly", "lint", description, env=NODE)
run("spectral", "lint", description, "--ruleset", HERE / "spectral.yaml", env=NODE)
print("redocly and spectral: no errors")

for language in ("rust", "typescript-fetch", "go"):
    options = ["--additional-properties=packageName=latchkey_client"] if language == "rust" else []
    run(BIN / "openapi-generator-cli", "generate", "-i", description, "-g", language, "-o", WORK / language, *options)
# The Go client needs modules from elsewhere, so it is generated only.
program = WORK / "login"
program.mkdir()
(program / "Cargo.toml").write_text(CARGO)
shutil.copy(HERE / "login.rs", program)
run("cargo", "run", "--quiet", cwd=program, env={**user("rust"), "CARGO_TARGET_DIR": str(WORK.parent / "clients-build")})
print("OpenAPI Generator: the Rust client logs in")

shutil.copy(HERE / "login.ts", WORK)
types = HERE / "node_modules/@types"
compiler = ["tsc", "--strict", "--target", "es2022", "--module", "commonjs", "--moduleResolution", "node10", "--skipLibCheck"]
run(*compiler, "--types", "node", "--typeRoots", types, "--outDir", WORK / "built", WORK / "login.ts", env=NODE)
run("node", WORK / "built/login.js", env=user("typescript"))
print("OpenAPI Generator: the TypeScript client logs in")

run("openapi-typescript", description, "-o", WORK / "api.d.ts", env=NODE)
run("tsc", "--strict", "--noEmit", WORK / "api.d.ts", env=NODE)
print("openapi-typescript: the types compile")

output = run(
    BIN / "openapi-python-client", "generate", "--path", description, "--output-path", WORK / "python",
    "--config", HERE / "config.yaml", "--meta", "none", env=NODE,
)
if "WARNING" in output:
    raise SystemExit(output)
(WORK / "python").rename(WORK / "latchkey_client")
run(sys.executable, HERE / "login.py", env={**user("python"), "PYTHONPATH": str(WORK)})
print("openapi-python-client: the Python client logs in")
