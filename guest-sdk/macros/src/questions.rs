// What `service!` adds to the bindings of `cloister:mcp/client`, so that a question can be written in a
// line or two. It is not compiled here, but in the service.

impl cloister::mcp::client::Form {
    /// A form without fields.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// The form with one field more.
    pub fn with(mut self, field: cloister::mcp::client::Field) -> Self {
        self.fields.push(field);
        self
    }
}

impl cloister::mcp::client::Field {
    /// A field that must be filled in.
    pub fn new(name: impl Into<String>, input: cloister::mcp::client::Input) -> Self {
        Self {
            name: name.into(),
            title: None,
            description: None,
            required: true,
            input,
        }
    }

    /// A text.
    pub fn text(name: impl Into<String>) -> Self {
        Self::new(
            name,
            cloister::mcp::client::Input::Text(cloister::mcp::client::TextField {
                min_length: None,
                max_length: None,
                format: None,
                default: None,
            }),
        )
    }

    /// A whole number.
    pub fn integer(name: impl Into<String>) -> Self {
        Self::new(
            name,
            cloister::mcp::client::Input::Integer(cloister::mcp::client::IntegerField {
                min: None,
                max: None,
                default: None,
            }),
        )
    }

    /// A number.
    pub fn number(name: impl Into<String>) -> Self {
        Self::new(
            name,
            cloister::mcp::client::Input::Number(cloister::mcp::client::NumberField {
                min: None,
                max: None,
                default: None,
            }),
        )
    }

    /// Yes or no.
    pub fn boolean(name: impl Into<String>) -> Self {
        Self::new(name, cloister::mcp::client::Input::Boolean(None))
    }

    /// One of several values.
    pub fn choice<T: Into<String>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let choices = values
            .into_iter()
            .map(|value| cloister::mcp::client::Choice {
                value: value.into(),
                title: None,
            })
            .collect();
        Self::new(
            name,
            cloister::mcp::client::Input::Choice(cloister::mcp::client::ChoiceField {
                choices,
                default: None,
            }),
        )
    }

    /// The field, which may be left empty.
    pub fn optional(self) -> Self {
        Self {
            required: false,
            ..self
        }
    }

    /// The field with a name for people.
    pub fn titled(self, title: impl Into<String>) -> Self {
        Self {
            title: Some(title.into()),
            ..self
        }
    }

    /// The field with a word on what it is for.
    pub fn described(self, description: impl Into<String>) -> Self {
        Self {
            description: Some(description.into()),
            ..self
        }
    }
}

impl cloister::mcp::client::Response {
    /// What was filled in under a name; none when it was left empty, or the person said no.
    pub fn value(&self, name: &str) -> Option<&cloister::mcp::client::Value> {
        match self {
            Self::Accepted(values) => values
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value),
            Self::Declined | Self::Cancelled => None,
        }
    }

    /// The text that was filled in under a name, or the choice that was made.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            cloister::mcp::client::Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl cloister::mcp::client::Sampling {
    /// A question to the model, in one message of the person.
    pub fn new(prompt: impl Into<String>, max_tokens: u32) -> Self {
        Self {
            messages: vec![cloister::mcp::client::ModelMessage {
                role: cloister::mcp::content::Role::User,
                parts: vec![cloister::mcp::client::Part::Text(prompt.into())],
            }],
            max_tokens,
            system_prompt: None,
            temperature: None,
            stop_sequences: Vec::new(),
            models: Vec::new(),
            cost_priority: None,
            speed_priority: None,
            intelligence_priority: None,
            tools: Vec::new(),
            tool_choice: None,
        }
    }
}

impl cloister::mcp::client::Sampled {
    /// The texts of the answer, one after another.
    pub fn text(&self) -> String {
        self.parts
            .iter()
            .filter_map(|part| match part {
                cloister::mcp::client::Part::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}
