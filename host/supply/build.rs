//! Compiles the crate anew when the files change that it carries: `include_dir!` does not say so itself.

fn main() {
    for folder in ["../../sdk/templates", "../../sdk/rust/src", "../../wit"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
