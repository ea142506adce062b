//! What the host makes of an issuer that fails.

use super::*;
use crate::auth::{Class, Readiness};
use crate::issuer::{AnswerFault, Faults, KeysFault, TokensFault};

fn with_everything(issuer: &DevelopmentIssuer) -> Auth {
    auth(issuer, |settings| {
        settings.api = issuer.issuer().to_owned();
        settings.secret_key = Some(issuer.secret_key());
    })
}

#[tokio::test]
async fn keys_that_cannot_be_had_make_nobody_a_stranger() {
    let issuer = start().await;
    let token = issuer.mint(&TokenRequest::default()).unwrap();
    for fault in [
        KeysFault::Answer(AnswerFault::ServerError),
        KeysFault::Answer(AnswerFault::Limited(7)),
        KeysFault::Answer(AnswerFault::Html),
        KeysFault::Answer(AnswerFault::TooLong),
        KeysFault::Answer(AnswerFault::Moved),
        KeysFault::Empty,
    ] {
        issuer.fail(Faults {
            keys: Some(fault),
            ..Faults::default()
        });
        let auth = auth(&issuer, |_| {});
        let denied = identify(&auth, &token).await.unwrap_err();
        assert_eq!(denied.class, Class::Unavailable, "{fault:?}");
        assert_eq!(auth.is_ready(), Readiness::NotLoaded);
    }
    issuer.fail(Faults {
        keys: Some(KeysFault::BrokenNeighbour),
        ..Faults::default()
    });
    assert!(identify(&auth(&issuer, |_| {}), &token).await.is_ok());
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_asked_once() {
    let issuer = start().await;
    let auth = auth(&issuer, |_| {});
    let limited = SessionError::Limited(Some(Duration::from_secs(7)));
    for (fault, error) in [
        (
            TokensFault::Answer(AnswerFault::Html),
            SessionError::Unavailable,
        ),
        (TokensFault::Answer(AnswerFault::Limited(7)), limited),
        (
            TokensFault::Answer(AnswerFault::ServerError),
            SessionError::Unavailable,
        ),
        (
            TokensFault::Answer(AnswerFault::TooLong),
            SessionError::Unavailable,
        ),
        (TokensFault::Empty, SessionError::Unavailable),
        (TokensFault::Refused("invalid_grant"), SessionError::Refused),
        (
            TokensFault::Refused("invalid_client"),
            SessionError::Unavailable,
        ),
        (TokensFault::Refused("odd"), SessionError::Unavailable),
    ] {
        issuer.fail(Faults {
            tokens: Some(fault),
            ..Faults::default()
        });
        // Another user each time, since one may not ask without end.
        let token = issuer.refresh_token("user_1");
        let refused = auth.sessions().refresh(token.clone(), None).await;
        assert_eq!(refused.unwrap_err(), error, "{fault:?}");
        // Nothing was used up by that.
        issuer.fail(Faults::default());
        assert!(auth.sessions().refresh(token, None).await.is_ok());
    }
    // What was done before the answer was lost cannot be done again.
    issuer.fail(Faults {
        tokens: Some(TokensFault::Lost),
        ..Faults::default()
    });
    let token = issuer.refresh_token("user_1");
    let lost = auth.sessions().refresh(token.clone(), None).await;
    assert_eq!(lost.unwrap_err(), SessionError::Unavailable);
    issuer.fail(Faults::default());
    let again = auth.sessions().refresh(token, None).await;
    assert_eq!(again.unwrap_err(), SessionError::Refused);
}

#[tokio::test]
async fn a_backend_api_that_fails_says_nothing_against_a_caller() {
    let issuer = start().await;
    let session = TokenRequest {
        kind: TokenKind::Session,
        ..TokenRequest::default()
    };
    let token = issuer.mint(&session).unwrap();
    for (fault, error) in [
        (AnswerFault::Unauthorized, SessionError::Unavailable),
        (
            AnswerFault::Limited(9),
            SessionError::Limited(Some(Duration::from_secs(9))),
        ),
        (AnswerFault::ServerError, SessionError::Unavailable),
        (AnswerFault::Html, SessionError::Unavailable),
        (AnswerFault::Moved, SessionError::Unavailable),
    ] {
        let auth = with_everything(&issuer);
        issuer.fail(Faults::default());
        let caller = identify(&auth, &token).await.unwrap();
        issuer.fail(Faults {
            api: Some(fault),
            ..Faults::default()
        });
        let listed = auth.sessions().list(&caller).await;
        assert_eq!(listed.unwrap_err(), error, "{fault:?}");
        assert_eq!(auth.complete(&caller).await.email(), None);
        let denied = auth.check_session(&caller).await.unwrap_err();
        assert_eq!(denied.class, Class::Unavailable, "{fault:?}");
    }
}

#[tokio::test]
async fn a_machine_is_nobodys_caller() {
    let issuer = start().await;
    let auth = auth(&issuer, |_| {});
    for sub in ["mch_1", User::ADA.id] {
        let machine = TokenRequest {
            kind: TokenKind::Machine {
                machines: vec!["mch_2".to_owned()],
            },
            ..TokenRequest::new(sub)
        };
        let denied = identify(&auth, &issuer.mint(&machine).unwrap()).await;
        assert_eq!(denied.unwrap_err().class, Class::Invalid, "{sub}");
    }
}
