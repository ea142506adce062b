//! The sandbox's share of a call, beside a bare loop over wasmtime that takes the same steps: read the
//! arguments, make an instance, call, write the result, drop it all. Calls of both alternate, so that a
//! busy moment of the machine meets both.

mod guest;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloister::sandbox::{Limits, Usage};
use cloister::value::Encoded;
use serde_json::{Value, json};
use wasmtime::component::{
    Component, ComponentExportIndex, InstancePre, Linker, ResourceTable, Val,
};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// How often both are measured, and how many calls each time.
const ROUNDS: usize = 40;
const ROUND: usize = 300;

/// What is called, and with what.
const INTERFACE: &str = "acme:plain/shapes@1.2.3";
const FUNCTION: &str = "mirror";
const ARGUMENTS: &str = r#"{"at":{"x":1,"y":-2,"label":"somewhere"}}"#;
const RESULT: &str = r#"{"x":-1,"y":2,"label":"somewhere"}"#;

fn main() {
    let runtime = cloister::runtime::new().expect("threads");
    runtime.block_on(async {
        // As calls are: on a thread of the runtime.
        tokio::spawn(measure()).await.expect("both run");
    });
}

async fn measure() {
    let wasm = guest::component("guest_plain");
    let ours = guest::Guest::new(&wasm);
    let bare = Bare::new(&wasm);
    let called = async || {
        let called = ours.call(FUNCTION, ARGUMENTS, Limits::default(), Usage::default());
        match called.await {
            Ok(Encoded::Value { structured, .. }) => structured,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(called().await.get(), RESULT);
    assert_eq!(bare.call().await, RESULT);

    let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                for _ in 0..ROUND {
                    let start = Instant::now();
                    black_box(called().await);
                    of_ours.push(start.elapsed());
                }
            } else {
                for _ in 0..ROUND {
                    let start = Instant::now();
                    black_box(bare.call().await);
                    of_bare.push(start.elapsed());
                }
            }
        }
    }
    println!("                    p50 µs    p90 µs    p99 µs");
    let ours = percentiles("sandbox", of_ours);
    let bare = percentiles("bare wasmtime", of_bare);
    println!("ratio              {:>7.2}", ours / bare);
}

fn percentiles(name: &str, mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!(
        "{name:18} {:>7.2}   {:>7.2}   {:>7.2}",
        at(50),
        at(90),
        at(99)
    );
    at(50)
}

/// The least that does the same: one store for each call, WASI with nothing behind it, a deadline.
struct Bare {
    engine: Engine,
    pre: InstancePre<State>,
    index: ComponentExportIndex,
    stop: Arc<AtomicBool>,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: wasmtime::StoreLimits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl Bare {
    fn new(wasm: &[u8]) -> Self {
        const SLOTS: u32 = 1_000;
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(SLOTS)
            .total_core_instances(SLOTS * 20)
            .total_memories(SLOTS)
            .total_tables(SLOTS * 3)
            .total_stacks(SLOTS)
            .max_memory_size(256 << 20)
            .linear_memory_keep_resident(1 << 20)
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config
            .concurrency_support(false)
            .epoch_interruption(true)
            .max_wasm_stack(512 << 10)
            .async_stack_size(1 << 20)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::from_binary(&engine, wasm).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI");
        let interface = component.get_export_index(None, INTERFACE);
        let index = component.get_export_index(interface.as_ref(), FUNCTION);
        let stop = Arc::new(AtomicBool::new(false));
        let (ticking, stopped) = (engine.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                #[expect(clippy::disallowed_methods, reason = "this thread exists to sleep")]
                std::thread::sleep(Duration::from_millis(1));
                ticking.increment_epoch();
            }
        });
        Self {
            pre: linker
                .instantiate_pre(&component)
                .expect("nothing is missing"),
            index: index.expect("its export"),
            engine,
            stop,
        }
    }

    async fn call(&self) -> String {
        let arguments: Value = serde_json::from_str(ARGUMENTS).expect("JSON");
        let at = &arguments["at"];
        let number = |name: &str| {
            let number = at[name].as_i64().and_then(|it| i32::try_from(it).ok());
            Val::S32(number.expect("a number"))
        };
        let label = at["label"].as_str().expect("a text").to_owned();
        let point = Val::Record(vec![
            ("x".into(), number("x")),
            ("y".into(), number("y")),
            (
                "label".into(),
                Val::Option(Some(Box::new(Val::String(label)))),
            ),
        ]);
        let state = State {
            wasi: WasiCtxBuilder::new().build(),
            table: ResourceTable::new(),
            limits: wasmtime::StoreLimitsBuilder::new()
                .memory_size(64 << 20)
                .build(),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        let deadline = Instant::now() + Duration::from_secs(10);
        store.epoch_deadline_callback(move |_| {
            assert!(Instant::now() < deadline, "it takes no time");
            Ok(UpdateDeadline::Yield(1))
        });
        store.set_epoch_deadline(1);
        let call = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let function = instance
                .get_func(&mut store, self.index)
                .expect("its export");
            let mut results = [Val::Bool(false)];
            function
                .call_async(&mut store, &[point], &mut results)
                .await?;
            wasmtime::error::Ok(results)
        };
        let results = tokio::time::timeout(Duration::from_secs(10), call).await;
        let [result] = results.expect("it takes no time").expect("it returns");
        drop(store);
        let Val::Result(Ok(Some(point))) = result else {
            panic!("{result:?}");
        };
        let Val::Record(fields) = *point else {
            panic!("{point:?}");
        };
        let mut object = serde_json::Map::new();
        for (name, value) in fields {
            let value = match value {
                Val::S32(number) => json!(number),
                Val::Option(Some(text)) => match *text {
                    Val::String(text) => json!(text),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            };
            object.insert(name, value);
        }
        serde_json::to_string(&object).expect("JSON")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
