//! What a service says to everybody who listens, in `cloister:mcp/tools`, `prompts` and `resources`.

use wasmtime::Result;

use crate::sandbox::bindings::cloister::mcp::{content, prompts, resources, tools};
use crate::sandbox::client::Announcement;
use crate::sandbox::store::Call;

impl content::Host for Call {}

impl tools::Host for Call {
    fn list_changed(&mut self) -> Result<()> {
        self.client.announce(Announcement::Tools);
        Ok(())
    }
}

impl prompts::Host for Call {
    fn list_changed(&mut self) -> Result<()> {
        self.client.announce(Announcement::Prompts);
        Ok(())
    }
}

impl resources::Host for Call {
    fn updated(&mut self, uri: String) -> Result<()> {
        self.client.announce(Announcement::Updated(uri));
        Ok(())
    }

    fn list_changed(&mut self) -> Result<()> {
        self.client.announce(Announcement::Resources);
        Ok(())
    }
}
