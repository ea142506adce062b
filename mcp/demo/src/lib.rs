//! The service `demo`: two protected tools that show how a tool knows its caller.

cloister_sdk::service!();

use std::time::SystemTime;

use cloister::mcp::auth::AuthUser;
use exports::cloister::demo::demo::{Echoed, Guest, UserProfile};

struct Demo;

export!(Demo);

impl Guest for Demo {
    fn get_user_profile(user: &AuthUser) -> UserProfile {
        let user = user.get();
        UserProfile {
            user_id: user.id,
            email: user.email,
            email_verified: user.email_verified,
            first_name: user.first_name,
            last_name: user.last_name,
            image_url: user.image_url,
        }
    }

    fn echo(user: &AuthUser, message: String) -> Echoed {
        let user = user.get();
        Echoed {
            message,
            timestamp: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            user_id: user.id,
            user_email: user.email,
        }
    }
}
