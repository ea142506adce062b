//! The revisions of MCP, and what differs between them.

/// A revision that is served. They are ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2025-03-26
    V2025March,
    /// 2025-06-18
    V2025June,
    /// 2025-11-25
    V2025November,
    /// 2026-07-28
    V2026July,
}

impl Revision {
    /// All that are served, the newest first.
    pub const ALL: [Self; 4] = [
        Self::V2026July,
        Self::V2025November,
        Self::V2025June,
        Self::V2025March,
    ];

    /// The newest that opens with `initialize`.
    pub const NEWEST_LEGACY: Self = Self::V2025November;

    /// What a client means that opens nothing and names nothing (MCP 2025-06-18, transports).
    pub const UNNAMED: Self = Self::V2025March;

    /// The revision of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|revision| revision.name() == name)
    }

    /// Its name, a date.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2025March => "2025-03-26",
            Self::V2025June => "2025-06-18",
            Self::V2025November => "2025-11-25",
            Self::V2026July => "2026-07-28",
        }
    }

    /// Whether requests carry their own metadata and there is no `initialize`.
    pub fn is_modern(self) -> bool {
        self >= Self::V2026July
    }

    /// Whether streams begin with an event that says from where to go on.
    pub fn polls(self) -> bool {
        self == Self::V2025November
    }

    /// Whether a body may hold a batch of messages.
    pub fn has_batches(self) -> bool {
        self == Self::V2025March
    }

    /// Whether the person can be asked by a form.
    pub fn has_elicitation(self) -> bool {
        self >= Self::V2025June
    }

    /// Whether the person can be sent to a page, forms have defaults and titled choices, and the model
    /// can be given tools.
    pub fn has_rich_questions(self) -> bool {
        self >= Self::V2025November
    }

    /// Whether content can link to resources.
    pub fn has_links(self) -> bool {
        self >= Self::V2025June
    }

    /// Whether both ends say which extensions they know.
    pub fn has_extensions(self) -> bool {
        self >= Self::V2026July
    }

    /// Whether tools have icons.
    pub fn has_icons(self) -> bool {
        self >= Self::V2025November
    }

    /// Whether tools have a title, an output schema, structured results and metadata.
    pub fn has_structured_content(self) -> bool {
        self >= Self::V2025June
    }
}
