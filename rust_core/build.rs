//! Writes include/pgjs_core.h, and holds the structs shared with C to include/pgjs_layout.def.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let crate_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = crate_dir.parent().expect("the crate stands in the workspace").to_path_buf();
    let include = root.join("include");
    for watched in ["rust_core/src/ffi", "rust_core/cbindgen.toml", "include", "c_src/layout.c"] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    write_header(&crate_dir, &include.join("pgjs_core.h"));
    write_layout_assertions(&include.join("pgjs_layout.def"));
    cc::Build::new()
        .file(root.join("c_src/layout.c"))
        .include(&include)
        .warnings_into_errors(true)
        .cargo_metadata(false) // assertions only: nothing of it is linked
        .compile("pgjs_layout");
}

/// cbindgen touches the file only when its text changes.
fn write_header(crate_dir: &Path, header: &Path) {
    let config = cbindgen::Config::from_file(crate_dir.join("cbindgen.toml")).expect("cbindgen.toml reads");
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(crate_dir.join("src/ffi/types.rs"))
        .with_src(crate_dir.join("src/ffi/exports.rs"))
        .generate()
        .expect("cbindgen reads the exports")
        .write_to_file(header);
}

fn write_layout_assertions(def: &Path) {
    let text = fs::read_to_string(def).expect("pgjs_layout.def reads");
    let mut out = String::new();
    for line in text.lines().filter(|line| line.starts_with("PGJS_")) {
        let (kind, rest) = line.split_once('(').expect("PGJS_X(…)");
        let fields: Vec<&str> = rest.trim_end_matches(')').split(',').map(str::trim).collect();
        match (kind, fields.as_slice()) {
            ("PGJS_SIZE", [ty, bytes]) => {
                out += &format!("const _: () = assert!(size_of::<{ty}>() == {bytes});\n");
            }
            ("PGJS_OFFSET", [ty, field, bytes]) => {
                out += &format!("const _: () = assert!(std::mem::offset_of!({ty}, {field}) == {bytes});\n");
            }
            _ => panic!("pgjs_layout.def: cannot read {line:?}"),
        }
    }
    let path = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("layout.rs");
    fs::write(path, out).expect("OUT_DIR is writable");
}
