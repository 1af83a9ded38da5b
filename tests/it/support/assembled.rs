//! Provider components assembled by hand, for what no compiler would let a guest do: the core module is a text whose
//! functions can be replaced one by one, and the rest of it behaves well. Needs no toolchain and no SDK.

use encaje_core::trace::PluginKind;
use encaje_runtime::{Capabilities, PluginLimits, PluginSpec};
use wit_bindgen_core::wit_parser::Resolve;
use wit_component::{ComponentEncoder, StringEncoding};

use super::root;

/// The bodies of one component's functions, as WebAssembly text. An answer is a pointer to its parts in memory; what is 0
/// there is `ok` of nothing.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// Whatever else the module has: tables, globals, data, a start function. Addresses from 1024 to 65535 are free.
    pub also: String,
    /// Makes room of `$new` bytes for the host, and says where.
    pub realloc: String,
    /// Says what it offers; an empty list.
    pub check: String,
    /// Says which models it knows.
    pub models: String,
    /// Starts an answer.
    pub complete: String,
    /// Goes on with it.
    pub next: String,
    /// After the host has read what `models` said.
    pub after_models: String,
    /// When the host drops an answer.
    pub on_drop: String,
}

impl Default for Assembled {
    fn default() -> Self {
        Self {
            also: String::new(),
            realloc: "
                (global.set $heap (i32.and
                    (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.get $heap)
                (global.set $heap (i32.add (global.get $heap) (local.get $new)))"
                .to_owned(),
            check: "(i32.const 0)".to_owned(),
            models: "(i32.const 0)".to_owned(),
            // The handle stands where it would in either alignment of the problem.
            complete: "
                (i32.store (i32.const 516) (call $new (i32.const 1)))
                (i32.store (i32.const 520) (i32.load (i32.const 516)))
                (i32.const 512)"
                .to_owned(),
            next: "(i32.const 0)".to_owned(),
            after_models: String::new(),
            on_drop: String::new(),
        }
    }
}

impl Assembled {
    fn text(&self) -> String {
        let Self {
            also,
            realloc,
            check,
            models,
            complete,
            next,
            after_models,
            on_drop,
        } = self;
        let provider = "encaje:provider/provider@0.1.0";
        format!(
            r#"(module
                (import "[export]{provider}" "[resource-new]completion" (func $new (param i32) (result i32)))
                (import "[export]{provider}" "[resource-drop]completion" (func $drop (param i32)))
                (memory (export "memory") 4)
                (global $heap (mut i32) (i32.const 65536))
                {also}
                (func (export "cabi_realloc")
                    (param $old i32) (param $had i32) (param $align i32) (param $new i32) (result i32) {realloc})
                (func (export "encaje:common/lifecycle@0.1.0#check") (result i32) {check})
                (func (export "{provider}#models") (result i32) {models})
                (func (export "cabi_post_{provider}#models") (param i32) {after_models})
                (func (export "{provider}#complete") (param $request i32) (result i32) {complete})
                (func (export "{provider}#[method]completion.next") (param i32) (result i32) {next})
                (func (export "{provider}#[dtor]completion") (param i32) {on_drop})
                (func (export "{provider}#embed")
                    (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
                (func (export "{provider}#rerank")
                    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
                (func (export "{provider}#count-tokens") (param i32) (result i32) unreachable)
            )"#
        )
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).unwrap_or_else(|error| panic!("{error}"));
        let mut resolve = Resolve::default();
        let mut last = None;
        for package in ["common", "host", "provider"] {
            let (id, _) = resolve.push_dir(root().join("wit").join(package)).unwrap();
            last = Some(id);
        }
        let world = resolve.select_world(&[last.unwrap()], Some("plugin")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
        let mut encoder = ComponentEncoder::default();
        encoder.validate(true);
        encoder.module(&module).unwrap();
        encoder.encode().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// To be loaded with nothing granted.
    pub fn spec(&self) -> PluginSpec {
        PluginSpec {
            name: "assembled".to_owned(),
            kind: PluginKind::Provider,
            wasm: self.component(),
            config: "{}".to_owned(),
            capabilities: Capabilities::default(),
            limits: PluginLimits::default(),
            uses: 1,
        }
    }
}
