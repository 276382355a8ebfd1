//! What wasmtime generates from the newest version of the contract; `contract` says how older plugins
//! fit it. These types derive `Debug` over secrets: they stay inside this crate and are converted at
//! the edge (`convert`), never printed.

wasmtime::component::bindgen!({
    path: "../../wit/0.1.1",
    world: "plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "keyturn:rotation/endpoint.connection": crate::endpoint::Connection },
});
