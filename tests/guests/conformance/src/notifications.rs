#![expect(
    clippy::disallowed_methods,
    reason = "a guest has its thread to itself, and nothing else to wait with"
)]
use std::thread::sleep;
use std::time::Duration;

use crate::Conformance;
use crate::cloister::mcp::client::{Level, log, progress};
use crate::cloister::mcp::{prompts, resources, tools};
use crate::exports::tests::conformance::notifications::Guest;

const PAUSE: Duration = Duration::from_millis(50);

impl Guest for Conformance {
    fn test_tool_with_progress() -> String {
        for done in [0.0, 50.0, 100.0] {
            progress(
                done,
                Some(100.0),
                Some(&format!("Completed step {done} of 100")),
            );
            sleep(PAUSE);
        }
        "Progress was reported".into()
    }

    fn test_tool_with_logging() -> String {
        for message in [
            "Tool execution started",
            "Tool processing data",
            "Tool execution completed",
        ] {
            log(Level::Info, message, None);
            sleep(PAUSE);
        }
        "Messages were logged".into()
    }

    fn test_logging_tool() -> String {
        log(Level::Info, "Not for clients that did not ask", None);
        "A message was logged".into()
    }

    fn test_reconnection() -> String {
        log(Level::Info, "The stream is open", None);
        sleep(2 * PAUSE);
        "Reconnection test completed successfully".into()
    }

    fn test_cancellation() -> String {
        for done in 0..1_200 {
            progress(f64::from(done), Some(1_200.0), None);
            sleep(PAUSE);
        }
        "Nobody cancelled".into()
    }

    fn test_trigger_tool_change() -> String {
        tools::list_changed();
        "Clients are told of tools".into()
    }

    fn test_trigger_prompt_change() -> String {
        prompts::list_changed();
        "Clients are told of prompts".into()
    }

    fn test_trigger_resource_update() -> String {
        resources::updated("test://watched-resource");
        "Subscribers are told".into()
    }
}
