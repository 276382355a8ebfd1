//! Taking more than it may have, and taking for ever.

use std::hint::black_box;

use crate::keyturn::rotation::key_derivation::pbkdf2_hmac_sha256;
use crate::keyturn::rotation::{clock, endpoint, log, password, random};
use crate::{Context, Error, Finding, Orders, error, finding, leaks, reach};

/// More log lines than anybody may write, each of which would take a terminal over.
const FLOOD: u32 = 5000;
const ESCAPES: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\nlevel=error msg=forged\u{202e}\u{61c}\0";

// Long because it is the table of what can be told.
pub(crate) fn act(orders: &Orders, ctx: &Context, candidate: &str) -> Result<Vec<Finding>, Error> {
    let with = orders.with.as_str();
    let number = with.parse::<usize>().unwrap_or_default();
    match orders.does.as_str() {
        "trap" => panic!("as told"),
        "spin" => loop {
            black_box(with);
        },
        // One unit of fuel fills megabytes: only the epoch can interrupt this.
        "fill" => {
            let mut block = vec![0_u8; 16 << 20];
            loop {
                block.fill(black_box(1));
            }
        }
        "spin-clock" => loop {
            black_box(clock::now_ms());
        },
        "spin-random" => loop {
            black_box(random::bytes(65_536));
        },
        "spin-log" => {
            let long = "x".repeat(2_000_000);
            loop {
                log::write(log::Severity::Info, &long, &[]);
            }
        }
        "spin-password" => loop {
            let target = password::Constraints {
                length_min: 1,
                length_max: 4096,
                exclude: String::new(),
            };
            black_box(password::generate(&target).is_ok());
        },
        "spin-derive" => loop {
            black_box(pbkdf2_hmac_sha256(b"password", b"salt", 1_000_000));
        },
        "derive" => {
            black_box(pbkdf2_hmac_sha256(b"password", b"salt", number as u32));
        }
        "derive-long" => {
            black_box(pbkdf2_hmac_sha256(&vec![1; number], b"salt", 1));
        }
        "spin-connect" => {
            for _ in 0..number {
                black_box(endpoint::connect("primary", 0).is_ok());
            }
        }
        "grow" => {
            let mut all = vec![];
            loop {
                all.push(vec![1_u8; 1 << 20]);
                black_box(&all);
            }
        }
        "grow-at-once" => {
            core::arch::wasm32::memory_grow::<0>(number);
        }
        "seek" => {
            core::arch::wasm32::memory_grow::<0>(64);
            let found = format!("found {} times", found_in_memory(with.as_bytes()));
            return Ok(vec![finding(found)]);
        }
        "grow-table" => loop {
            black_box(hostile_table_grow(1000));
        },
        "hoard" => {
            let mut all = vec![];
            loop {
                all.push(endpoint::connect("primary", 0).map_err(|net| error(net.message))?);
            }
        }
        "recurse" => {
            recurse(0);
        }
        "answer" => return Ok(vec![finding("x".repeat(number))]),
        "answer-many" => return Ok((0..number).map(|_| finding(String::new())).collect()),
        "refuse-hugely" => {
            let detail = ("d".repeat(100), "x".repeat(1000));
            return Err(Error {
                details: vec![detail; number],
                ..error("no".into())
            });
        }
        "flood" => {
            for _ in 0..FLOOD {
                let fields = [(ESCAPES.to_owned(), ESCAPES.to_owned())];
                log::write(log::Severity::Error, ESCAPES, &fields);
            }
            return Ok(vec![finding(ESCAPES.into())]);
        }
        "fields" => {
            let fields = vec![(String::new(), String::new()); number];
            log::write(log::Severity::Info, "many", &fields);
        }
        "ask-again" => {
            return Err(Error {
                retryable: true,
                retry_after_ms: Some(with.parse().unwrap_or_default()),
                ..error("later".into())
            });
        }
        "leak-log" => leaks::log(ctx, candidate),
        "reach" => return Ok(reach::reach(with)),
        "drip" => return Ok(reach::drip(leaks::password(&ctx.current.value))),
        // For show: it looks like a login.
        "nod" if !candidate.is_empty() => {
            endpoint::connect("primary", 0).map_err(|net| error(net.message))?;
        }
        _ => {}
    }
    Ok(vec![])
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1))) + 1
}

/// No Rust code grows a table: the suite puts `table.grow` in the place of this body.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn hostile_table_grow(elements: u32) -> i32 {
    black_box(elements) as i32
}

/// How often a text lies anywhere in memory. `coded` holds it with each last bit flipped, so as not to be found itself.
fn found_in_memory(coded: &[u8]) -> usize {
    let memory_bytes = core::arch::wasm32::memory_size::<0>() << 16;
    // All of the memory is this guest's, used or not.
    let byte_at = |address: usize| unsafe { (address as *const u8).read_volatile() };
    let begins_at = |start: usize| {
        let mut offsets = coded.iter().enumerate();
        offsets.all(|(offset, byte)| byte_at(start + offset) ^ 1 == *byte)
    };
    (1..memory_bytes - coded.len())
        .filter(|start| begins_at(*start))
        .count()
}
