//! The users of the development issuer. Any subject can be given a token; these have a profile.

/// A user with a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The id, `user_…`.
    pub id: &'static str,
    /// The primary e-mail address, verified.
    pub email: &'static str,
    /// The given name.
    pub first_name: &'static str,
    /// The family name.
    pub last_name: &'static str,
    /// The address of a picture.
    pub image_url: &'static str,
}

impl User {
    /// Whom a token is for unless somebody else is named.
    pub const ADA: Self = Self {
        id: "user_2RfWKJREkjKbHZy0Wqa5qrHeAnb",
        email: "ada@example.test",
        first_name: "Ada",
        last_name: "Lovelace",
        image_url: "https://img.example.test/ada.png",
    };

    /// Somebody else, to show that one caller's data is not another's.
    pub const GRACE: Self = Self {
        id: "user_2RfWKJREkjKbHZy0Wqa5qrHeGrc",
        email: "grace@example.test",
        first_name: "Grace",
        last_name: "Hopper",
        image_url: "https://img.example.test/grace.png",
    };

    /// The user of this id.
    pub fn find(id: &str) -> Option<Self> {
        [Self::ADA, Self::GRACE]
            .into_iter()
            .find(|user| user.id == id)
    }
}
