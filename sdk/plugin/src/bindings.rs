//! The contract as wit-bindgen generates it from `wit/rotation.wit`. Nothing here is written by
//! hand, and nothing of it is public: values that hold secrets have a derived `Debug` here, which
//! is why the crate has types of its own.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "export_bindings",
});
