//! The table of token cases: each gives its verdict and reason at a clock that stands still.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

use super::draft::{
    CAT_NONE, CAT_SESSION, CAT_TEMPLATE, CLIENT, Draft, ISSUER, KEYS, NOW, RESOURCE, SESSION, USER,
    encode, id_token, jwk, jwks, machine, oauth, public_der, session, template,
};
use super::server::{Answer, Server};
use super::{Bench, Kind, Reason, Resource};

const OPAQUE: &str = "oat_0123456789abcdef0123456789abcdef";

type Case = (&'static str, String, Result<Kind, Reason>);

fn server() -> Server {
    Server::start(Answer::json(jwks().to_string()))
}

fn case(name: &'static str, draft: &Draft, verdict: Result<Kind, Reason>) -> Case {
    (name, draft.token(), verdict)
}

async fn judge(bench: &Bench, cases: Vec<Case>) {
    // With the keys at hand, so that no case depends on what came before it.
    assert!(
        bench
            .auth
            .0
            .verifier
            .keys
            .key("ins_main", || true)
            .await
            .is_ok()
    );
    for (name, token, verdict) in cases {
        assert_eq!(bench.verdict(&token).await, verdict, "{name}");
    }
}

fn expired(seconds: i64) -> Draft {
    session().claims(&json!({"exp": NOW - seconds, "iat": NOW - 120, "nbf": NOW - 130}))
}

#[tokio::test]
async fn a_kinds_of_token() {
    use Kind::{OAuth, Session, Template};
    let v1 = session()
        .without_head("cat")
        .without(&["v", "sts", "jti", "fva"])
        .claims(&json!({
            "org_id": "org_1", "org_slug": "acme", "org_role": "org:admin",
            "org_permissions": ["org:invoices:read"],
        }));
    let cases = vec![
        case("A_session_v2", &session(), Ok(Session)),
        case("A_session_v1_org", &v1, Ok(Session)),
        case("A_cat_ignore", &session().head(&json!({"cat": CAT_NONE})), Ok(Session)),
        case("A_sts_pending", &session().claims(&json!({"sts": "pending"})), Err(Reason::SessionStatus)),
        case("A_actor", &session().claims(&json!({"act": {"iss": "https://dashboard.clerk.com", "sid": "sess_9", "sub": "user_9"}})), Ok(Session)),
        case("A_template", &template(), Ok(Template)),
        case("A_template_no_cat", &template().without_head("cat"), Ok(Template)),
        case("A_template_aud_other", &template().claims(&json!({"aud": "https://other-api.example"})), Err(Reason::Audience)),
        case("A_oauth_no_aud", &oauth(), Err(Reason::Audience)),
        case("A_oauth_aud_ours", &oauth().claims(&json!({"aud": [RESOURCE]})), Ok(OAuth)),
        case("A_oauth_aud_other", &oauth().claims(&json!({"aud": "https://other-api.example"})), Err(Reason::Audience)),
        case("A_id_token", &id_token(), Err(Reason::Azp)),
        case("A_m2m", &machine(), Err(Reason::Kind)),
        ("A_opaque_oat", OPAQUE.to_owned(), Err(Reason::Malformed)),
    ];
    judge(&Bench::new(&server()), cases).await;
}

#[tokio::test]
async fn b_times() {
    use Kind::Session;
    let with = |claims| session().claims(&claims);
    let cases = vec![
        case("B_exp_minus_4", &expired(4), Ok(Session)),
        case("B_exp_minus_5", &expired(5), Err(Reason::Expired)),
        case("B_exp_minus_59", &expired(59), Err(Reason::Expired)),
        case(
            "B_exp_missing",
            &session().without(&["exp"]),
            Err(Reason::Claims),
        ),
        case(
            "B_exp_ms",
            &with(json!({"exp": (NOW + 60) * 1000})),
            Err(Reason::Claims),
        ),
        case("B_nbf_plus_5", &with(json!({"nbf": NOW + 5})), Ok(Session)),
        case(
            "B_nbf_plus_6",
            &with(json!({"nbf": NOW + 6})),
            Err(Reason::NotYet),
        ),
        case("B_nbf_missing", &session().without(&["nbf"]), Ok(Session)),
        case(
            "B_iat_plus_6",
            &with(json!({"iat": NOW + 6})),
            Err(Reason::IatFuture),
        ),
    ];
    judge(&Bench::new(&server()), cases).await;
}

#[tokio::test]
async fn c_claims() {
    let with = |claims| session().claims(&claims);
    let twice = session().claims_text(|text| text.replacen('{', r#"{"sub":"user_admin","#, 1));
    let marked = session().claims_text(|text| format!("\u{feff}{text}"));
    let huge = with(json!({"blob": "x".repeat(780_000)}));
    let cases = vec![
        case(
            "C_iss_wrong",
            &with(json!({"iss": "https://evil.example"})),
            Err(Reason::Issuer),
        ),
        case(
            "C_iss_slash",
            &with(json!({"iss": format!("{ISSUER}/")})),
            Err(Reason::Issuer),
        ),
        case(
            "C_iss_missing",
            &session().without(&["iss"]),
            Err(Reason::Issuer),
        ),
        case(
            "C_iss_array",
            &with(json!({"iss": [ISSUER]})),
            Err(Reason::Issuer),
        ),
        case(
            "C_sub_empty",
            &with(json!({"sub": ""})),
            Err(Reason::Claims),
        ),
        case(
            "C_azp_missing",
            &session().without(&["azp"]),
            Err(Reason::Azp),
        ),
        case(
            "C_azp_other",
            &with(json!({"azp": "https://evil.example"})),
            Err(Reason::Azp),
        ),
        case(
            "C_sid_missing",
            &session().without(&["sid"]),
            Err(Reason::Claims),
        ),
        case(
            "C_aud_array_mixed",
            &with(json!({"aud": [RESOURCE, 7]})),
            Err(Reason::Claims),
        ),
        case("C_dup_sub", &twice, Err(Reason::Claims)),
        case("C_payload_bom", &marked, Err(Reason::Claims)),
        case("C_huge_1mb", &huge, Err(Reason::TooLarge)),
    ];
    judge(&Bench::new(&server()), cases).await;
}

#[tokio::test]
async fn d_headers() {
    use Kind::{Session, Template};
    let with = |members| session().head(&members);
    let theirs = jwk("ins_main", &KEYS.attacker);
    let ours = jwk("ins_main", &KEYS.main);
    let twice = session().head_text(|text| text.replacen('{', r#"{"alg":"none","#, 1));
    let cases = vec![
        case("D_typ_missing", &session().without_head("typ"), Ok(Session)),
        case(
            "D_typ_lower",
            &with(json!({"typ": "jwt"})),
            Err(Reason::Typ),
        ),
        case(
            "D_kid_missing",
            &session().without_head("kid"),
            Err(Reason::UnknownKey),
        ),
        case(
            "D_kid_unknown",
            &with(json!({"kid": "ins_unknown"})),
            Err(Reason::UnknownKey),
        ),
        case(
            "D_cat_unknown",
            &with(json!({"cat": "cl_unknown"})),
            Err(Reason::Kind),
        ),
        case(
            "D_cat_template_session",
            &with(json!({"cat": CAT_TEMPLATE})),
            Ok(Template),
        ),
        case(
            "D_crit_unknown",
            &with(json!({"crit": ["x-unknown"], "x-unknown": 1})),
            Err(Reason::Header),
        ),
        case(
            "D_jwk_embedded",
            &with(json!({"jwk": theirs})).by(&KEYS.attacker),
            Err(Reason::Header),
        ),
        case(
            "D_jwk_own",
            &with(json!({"jwk": ours})),
            Err(Reason::Header),
        ),
        case(
            "D_x5u",
            &with(json!({"x5u": "https://evil.example/c.pem"})).by(&KEYS.attacker),
            Err(Reason::Header),
        ),
        case("D_dup_alg", &twice, Err(Reason::Malformed)),
    ];
    judge(&Bench::new(&server()), cases).await;
}

#[tokio::test]
async fn e_algorithms() {
    let alg = |alg: &str| session().head(&json!({"alg": alg}));
    let pem = public_der(&KEYS.main);
    let oct = alg("HS256").head(&json!({"kid": "ins_oct"}));
    let es = alg("ES256").head(&json!({"kid": "ins_ec"}));
    let none = format!("{}.", alg("none").signed());
    let cases = vec![
        ("E_alg_none", none, Err(Reason::Malformed)),
        case("E_alg_none_with_sig", &alg("none"), Err(Reason::Algorithm)),
        case(
            "E_HS256_pem",
            &alg("HS256").by_hmac(&pem),
            Err(Reason::Algorithm),
        ),
        case(
            "E_HS256_oct_kid",
            &oct.by_hmac(&KEYS.oct),
            Err(Reason::Algorithm),
        ),
        case("E_ES256", &es.by_ec(), Err(Reason::Algorithm)),
        case("E_PS256", &alg("PS256").by_pss(), Err(Reason::Algorithm)),
        case(
            "E_RS256_hdr_PS_sig",
            &session().by_pss(),
            Err(Reason::Signature),
        ),
        case(
            "E_RS256_kid_ec",
            &session().head(&json!({"kid": "ins_ec"})),
            Err(Reason::UnknownKey),
        ),
    ];
    judge(&Bench::new(&server()), cases).await;
}

#[tokio::test]
async fn f_keys_and_signatures() {
    let kid = |kid: &str| session().head(&json!({"kid": kid}));
    let good = session();
    let signature = good.signature();
    let short = format!(
        "{}.{}",
        good.signed(),
        encode(&signature[..signature.len() - 1])
    );
    let other = session().claims(&json!({"sub": "user_other"}));
    let swapped = format!("{}.{}", other.signed(), encode(&signature));
    let cases = vec![
        case(
            "F_wrong_key",
            &session().by(&KEYS.attacker),
            Err(Reason::Signature),
        ),
        case(
            "F_weak1024",
            &kid("ins_weak").by(&KEYS.attacker),
            Err(Reason::UnknownKey),
        ),
        case(
            "F_use_enc",
            &kid("ins_enc").by(&KEYS.enc),
            Err(Reason::UnknownKey),
        ),
        case(
            "F_jwk_noalg",
            &kid("ins_noalg").by(&KEYS.noalg),
            Ok(Kind::Session),
        ),
        case(
            "F_dup_last",
            &kid("ins_dup").by(&KEYS.dup_last),
            Err(Reason::UnknownKey),
        ),
        ("F_sig_trunc", short, Err(Reason::Signature)),
        ("F_payload_swap", swapped, Err(Reason::Signature)),
    ];
    judge(&Bench::new(&server()), cases).await;
}

#[tokio::test]
async fn g_forms() {
    let good = session().token();
    let standard = (0..1_000)
        .map(|n| session().claims(&json!({ "jti": n })))
        .map(|draft| (draft.signed(), STANDARD_NO_PAD.encode(draft.signature())))
        .find(|(_, signature)| signature.contains(['+', '/']))
        .map(|(signed, signature)| format!("{signed}.{signature}"))
        .unwrap();
    let cases = vec![
        ("G_sig_padding", format!("{good}=="), Err(Reason::Malformed)),
        ("G_sig_std_b64", standard, Err(Reason::Malformed)),
        ("G_trail_nl", format!("{good}\n"), Err(Reason::Malformed)),
        (
            "G_bearer_prefix",
            format!("Bearer {good}"),
            Err(Reason::Malformed),
        ),
        ("G_parts2", session().signed(), Err(Reason::Malformed)),
        (
            "G_parts5_jwe",
            "e30.e30.e30.e30.e30".to_owned(),
            Err(Reason::Malformed),
        ),
    ];
    judge(&Bench::new(&server()), cases).await;
}

#[tokio::test]
async fn h_one_kind_for_another() {
    let as_access = session().head(&json!({"typ": "at+jwt", "cat": CAT_SESSION}));
    let as_session = oauth().head(&json!({"typ": "JWT"}));
    let foreign = session()
        .head(&json!({"kid": "ins_other"}))
        .claims(&json!({"iss": "https://clerk.other.test"}))
        .by(&KEYS.attacker);
    let cases = vec![
        case("H_session_as_at", &as_access, Err(Reason::Kind)),
        case("H_at_as_JWT", &as_session, Err(Reason::Kind)),
        case(
            "H_at_no_client",
            &oauth().without(&["client_id", "scope"]),
            Err(Reason::Claims),
        ),
        case(
            "H_dpop_cnf",
            &oauth().claims(&json!({"cnf": {"jkt": "x"}})),
            Err(Reason::SenderConstrained),
        ),
        case("H_other_instance", &foreign, Err(Reason::UnknownKey)),
    ];
    judge(&Bench::new(&server()), cases).await;
}

#[tokio::test]
async fn the_same_tokens_under_other_policies() {
    let server = server();
    let ours = oauth().claims(&json!({"aud": [RESOURCE]}));
    let other = oauth().claims(&json!({"aud": "https://other-api.example"}));
    let other_template = template().claims(&json!({"aud": "https://other-api.example"}));

    let no_resource = Bench::with(&server, |settings| settings.resource = None);
    let cases = vec![
        case("A_oauth_no_aud", &oauth(), Ok(Kind::OAuth)),
        case("A_oauth_aud_ours", &ours, Err(Reason::Audience)),
        case("A_oauth_aud_other", &other, Err(Reason::Audience)),
        case(
            "A_template_aud_other",
            &other_template,
            Err(Reason::Audience),
        ),
        case(
            "aud null",
            &oauth().claims(&json!({"aud": null})),
            Ok(Kind::OAuth),
        ),
        case(
            "aud empty",
            &oauth().claims(&json!({"aud": []})),
            Err(Reason::Audience),
        ),
        case(
            "aud empty text",
            &oauth().claims(&json!({"aud": ""})),
            Err(Reason::Audience),
        ),
    ];
    judge(&no_resource, cases).await;

    // The address on this computer may be named and need not be.
    let local = Bench::with(&server, |settings| {
        settings.resource = Some(Resource::Local(RESOURCE.to_owned()));
    });
    let cases = vec![
        case("A_oauth_no_aud", &oauth(), Ok(Kind::OAuth)),
        case("A_oauth_aud_ours", &ours, Ok(Kind::OAuth)),
        case("A_oauth_aud_other", &other, Err(Reason::Audience)),
        case(
            "A_template_aud_other",
            &other_template,
            Err(Reason::Audience),
        ),
    ];
    judge(&local, cases).await;

    let any_party = Bench::with(&server, |settings| settings.authorized_parties.clear());
    let evil = session().claims(&json!({"azp": "https://evil.example"}));
    let cases = vec![
        case(
            "C_azp_missing",
            &session().without(&["azp"]),
            Ok(Kind::Session),
        ),
        case("C_azp_other", &evil, Ok(Kind::Session)),
        case("A_id_token", &id_token(), Err(Reason::Audience)),
    ];
    judge(&any_party, cases).await;
    let neither = Bench::with(&server, |settings| {
        settings.authorized_parties.clear();
        settings.resource = None;
    });
    judge(
        &neither,
        vec![case("A_id_token", &id_token(), Err(Reason::Audience))],
    )
    .await;

    let id_tokens = Bench::with(&server, |settings| {
        settings.id_token_audiences = vec![CLIENT.to_owned()];
    });
    let theirs = id_token().claims(&json!({"azp": "client_other"}));
    let session_mark = id_token().head(&json!({"cat": CAT_SESSION}));
    let cases = vec![
        case("A_id_token", &id_token(), Ok(Kind::IdToken)),
        case(
            "azp on the list",
            &id_token().claims(&json!({"azp": CLIENT})),
            Ok(Kind::IdToken),
        ),
        case("azp elsewhere", &theirs, Err(Reason::Azp)),
        case("cat session", &session_mark, Err(Reason::Azp)),
        case("A_session_v2", &session(), Ok(Kind::Session)),
    ];
    judge(&id_tokens, cases).await;

    let earlier = Bench::new(&server);
    earlier.jump(-1);
    judge(
        &earlier,
        vec![case("B_exp_minus_5", &expired(5), Ok(Kind::Session))],
    )
    .await;
}

#[tokio::test]
async fn any_change_of_a_character_is_refused() {
    let server = server();
    let bench = Bench::with(&server, |settings| {
        settings.id_token_audiences = vec![CLIENT.to_owned()];
    });
    let ours = oauth().claims(&json!({"aud": RESOURCE}));
    for good in [session(), template(), ours, id_token()] {
        let token = good.token();
        assert!(bench.verdict(&token).await.is_ok());
        for (place, old) in token.char_indices() {
            let (before, rest) = token.split_at(place);
            let after = &rest[1..];
            // Each bit by itself, the neighbours in the alphabet, and more or less than was there.
            let flipped = (0..7).map(|bit| char::from(token.as_bytes()[place] ^ (1 << bit)));
            let other = ['A', 'Q', 'g', 'w', '-', '_', '.', '=', ' ', '\u{e9}'];
            let mut changed: Vec<String> = flipped
                .chain(other)
                .filter(|new| *new != old)
                .map(|new| format!("{before}{new}{after}"))
                .collect();
            changed.push(format!("{before}{after}"));
            changed.push(format!("{before}{old}{old}{after}"));
            for changed in changed {
                assert!(bench.verdict(&changed).await.is_err(), "{place}: {changed}");
            }
        }
    }
}

#[tokio::test]
async fn the_claims_become_the_user_record() {
    let server = server();
    let bench = Bench::with(&server, |settings| settings.resource = None);

    let user = bench.verify(&template().token()).await.unwrap();
    assert_eq!(user.id(), USER);
    assert_eq!(user.email(), Some("ada@example.test"));
    assert_eq!(user.email_verified(), Some(true));
    assert_eq!(
        (user.first_name(), user.last_name()),
        (Some("Ada"), Some("Lovelace"))
    );
    assert_eq!(user.image_url(), Some("https://img.example.test/ada.png"));
    assert_eq!(
        (user.name(), user.session_id(), user.client_id()),
        (None, None, None)
    );
    assert_eq!(user.issued_at(), u64::try_from(NOW).ok());
    assert_eq!(user.expires_at(), u64::try_from(NOW + 60).ok());

    let odd = template().claims(&json!({
        "email": null, "primaryEmail": 7, "primary_email_address": "a@b.test",
        "email_verified": "true", "given_name": ["Ada"], "firstName": "Ada",
    }));
    let user = bench.verify(&odd.token()).await.unwrap();
    assert_eq!(user.email(), Some("a@b.test"));
    assert_eq!(
        (user.email_verified(), user.first_name()),
        (None, Some("Ada"))
    );

    let user = bench.verify(&oauth().token()).await.unwrap();
    assert_eq!(user.client_id(), Some(CLIENT));
    assert_eq!(user.scopes(), ["openid", "profile", "email"]);
    assert!(user.has_scope("email") && !user.has_scope("mail") && !user.has_scope(""));
    let listed = oauth()
        .without(&["scope"])
        .claims(&json!({"scp": ["a", 7, "b"]}));
    assert_eq!(
        bench.verify(&listed.token()).await.unwrap().scopes(),
        ["a", "b"]
    );

    let acted = session().claims(&json!({
        "act": {"sub": "user_9"}, "scope": "email",
        "o": {"id": "org_1", "rol": "admin", "per": "read,write", "fpm": "2"}, "fea": "o:invoices",
    }));
    let user = bench.verify(&acted.token()).await.unwrap();
    assert_eq!(
        (user.actor(), user.session_id()),
        (Some("user_9"), Some(SESSION))
    );
    assert!(user.scopes().is_empty());
    let organization = user.organization().unwrap();
    assert_eq!(organization.role.as_deref(), Some("org:admin"));
    assert_eq!(organization.permissions, ["org:invoices:write"]);
    assert_eq!(
        format!("{user:?}"),
        format!("Principal {{ id: {USER:?}, kind: Session, .. }}")
    );
}

#[tokio::test]
async fn a_claim_is_text_as_it_stands_or_json() {
    let draft = template().claims(&json!({
        "plan": "gold \"plus\"", "level": 7, "tags": ["a", "b"], "nothing": null, "deep": {"a": {}},
    }));
    let user = Bench::new(&server()).verify(&draft.token()).await.unwrap();
    for (name, value) in [
        ("plan", Some("gold \"plus\"")),
        ("level", Some("7")),
        ("tags", Some(r#"["a","b"]"#)),
        ("nothing", Some("null")),
        ("deep", Some(r#"{"a":{}}"#)),
        ("sub", Some(USER)),
        ("absent", None),
    ] {
        assert_eq!(user.claim(name).as_deref(), value, "{name}");
    }
}
