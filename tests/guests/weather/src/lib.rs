cloister_sdk::service!();

use cloister::mcp::auth::AuthUser;
use exports::example::weather::weather::Guest;

struct Weather;
export!(Weather);

impl Guest for Weather {
    fn get_forecast(user: &AuthUser, city: String) -> Result<String, String> {
        let name = user.get().first_name.unwrap_or("friend".into());
        match &*city {
            "Atlantis" => Err("nobody has been there lately".into()),
            _ => Ok(format!("{name}, it will be sunny in {city}")),
        }
    }
}
