//! Passwords and tokens: values that cannot be displayed.
//!
//! Does not know where they come from or go.

use std::fmt;

/// A password or token. Has no `Display`; `Debug` shows dots.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for a request's header or body, nowhere else.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What an auth file or helper gives for a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// For Basic authentication, at the registry or at its token endpoint.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token (`identitytoken`): the token endpoint gives access tokens for it.
    Identity(Secret),
    /// An access token (`registrytoken`), used as it is.
    Access(Secret),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_does_not_show_in_debug_output() {
        let password = Credential::Password { user: "me".into(), password: Secret::new("hunter2") };
        assert_eq!(format!("{password:?}"), "Password { user: \"me\", password: Secret(…) }");
    }
}
