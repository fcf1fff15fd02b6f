use super::*;
use crate::origin::tests::Rig;
use http_body_util::BodyExt;
use proptest::prelude::*;

fn ask(rig: &Rig, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/live/show/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = handle(&rig.origin, &request.body(()).unwrap()).into_parts();
    let body = futures_util::FutureExt::now_or_never(body.collect());
    Response::from_parts(parts, body.unwrap().unwrap().to_bytes())
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |v| v.to_str().unwrap())
}

fn rig() -> Rig {
    let rig = Rig::small();
    rig.whole(0);
    rig
}

/// The claim of an address below the stream's.
fn claim_of(origin: &Origin, path: &str) -> Option<Claim> {
    let request = Request::get(format!("/live/show/{path}"));
    reply(origin, &request.body(()).unwrap()).claim()
}

fn claim(rig: &Rig, path: &str) -> Option<Claim> {
    claim_of(&rig.origin, path)
}

#[test]
fn who_publishes_or_ended_a_playlist_comes_before_who_carries_it_on_and_that_before_what_is_left() {
    // The playlist itself, that of an earlier process, and who asks by name.
    let claims = |rig: &Rig| ["7/720p.m3u8", "5/720p.m3u8", "master.m3u8"].map(|p| claim(rig, p));
    let (strong, carries, left) = (
        Some(Claim::Strong),
        Some(Claim::CarriesOn),
        Some(Claim::Left),
    );
    let rig = rig();
    assert_eq!(claims(&rig), [strong, carries, strong]);
    rig.stream.waits();
    assert_eq!(claims(&rig), [left, left, left]);
    assert_eq!(claim(&rig, "7/720p/0.ts"), strong, "it never changes");
    rig.whole(1);
    assert_eq!(claims(&rig), [strong, carries, strong], "it is back");
    rig.stream.end();
    assert_eq!(claims(&rig), [strong, carries, left]);

    let rig = self::rig();
    rig.add(Rig::info(1));
    drop(rig.stream);
    assert_eq!(
        [
            claim_of(&rig.origin, "7/720p.m3u8"),
            claim_of(&rig.origin, "5/720p.m3u8")
        ],
        [left, left]
    );
}

#[test]
fn who_carries_a_playlist_on_does_so_in_all_renditions_at_once() {
    let rig = Rig::small();
    rig.add(Rig::info(0));
    assert_eq!(claim(&rig, "5/source.m3u8"), Some(Claim::Left));
    assert_eq!(claim(&rig, "7/source.m3u8"), Some(Claim::Strong));
    for rendition in ["720p", "360p"] {
        rig.settle(0, rendition, crate::origin::Rendered::Gap);
    }
    assert_eq!(claim(&rig, "5/source.m3u8"), Some(Claim::CarriesOn));
}

#[test]
fn each_kind_is_cached_for_its_time() {
    let rig = rig();
    let cached = |path| {
        let response = ask(&rig, Method::GET, path, &[]);
        let any = header(&response, "access-control-allow-origin");
        assert_eq!(any, "*", "{path}");
        (
            response.status().as_u16(),
            header(&response, "cache-control").to_owned(),
            header(&response, "content-type").to_owned(),
        )
    };
    let expect = |status, cache: &str, kind: &str| (status, cache.to_owned(), kind.to_owned());
    let playlist = "application/vnd.apple.mpegurl";
    assert_eq!(
        cached("master.m3u8"),
        expect(200, "public, max-age=3", playlist)
    );
    assert_eq!(
        cached("7/source.m3u8"),
        expect(200, "public, max-age=1", playlist)
    );
    assert_eq!(
        cached("7/source/0.ts"),
        expect(200, "public, max-age=86400, immutable", "video/mp2t")
    );
    assert_eq!(
        cached("7/source/1.ts"),
        expect(404, "public, max-age=1", "text/plain; charset=utf-8")
    );
}

#[test]
fn head_says_what_get_would() {
    let rig = rig();
    for path in ["master.m3u8", "7/source.m3u8", "7/source/0.ts"] {
        let get = ask(&rig, Method::GET, path, &[]);
        let head = ask(&rig, Method::HEAD, path, &[]);
        assert_eq!(get.headers(), head.headers());
        let length = get.body().len().to_string();
        assert_eq!(header(&head, "content-length"), length);
        assert!(head.body().is_empty() && !get.body().is_empty());
    }
}

#[test]
fn a_known_tag_saves_the_body() {
    let rig = rig();
    for path in ["master.m3u8", "7/source.m3u8", "7/source/0.ts"] {
        let tag = header(&ask(&rig, Method::GET, path, &[]), "etag").to_owned();
        for given in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".into(),
        ] {
            let response = ask(&rig, Method::GET, path, &[("if-none-match", &given)]);
            assert_eq!(response.status(), 304, "{given}");
            assert!(response.body().is_empty());
            assert_eq!(header(&response, "etag"), tag);
        }
        let response = ask(&rig, Method::GET, path, &[("if-none-match", "\"x\"")]);
        assert_eq!(response.status(), 200);
    }
    let before = header(&ask(&rig, Method::GET, "7/source.m3u8", &[]), "etag").to_owned();
    rig.whole(1);
    let after = ask(
        &rig,
        Method::GET,
        "7/source.m3u8",
        &[("if-none-match", &before)],
    );
    assert_eq!(after.status(), 200, "it changed");
}

#[test]
fn ranges() {
    let rig = rig();
    let path = "7/audio/0.ts"; // 1000 bytes
    let range = |asked: &str| {
        let response = ask(&rig, Method::GET, path, &[("range", asked)]);
        (
            response.status().as_u16(),
            header(&response, "content-range").to_owned(),
            response.body().len(),
        )
    };
    let expect = |status, said: &str, len| (status, said.to_owned(), len);
    assert_eq!(range("bytes=0-99"), expect(206, "bytes 0-99/1000", 100));
    assert_eq!(range("bytes=990-"), expect(206, "bytes 990-999/1000", 10));
    assert_eq!(range("bytes=-10"), expect(206, "bytes 990-999/1000", 10));
    assert_eq!(range("bytes=-5000"), expect(206, "bytes 0-999/1000", 1000));
    assert_eq!(
        range("bytes=5-99999999999999999999"),
        expect(206, "bytes 5-999/1000", 995)
    );
    for outside in ["bytes=1000-", "bytes=1000-1001", "bytes=-0"] {
        assert_eq!(range(outside), expect(416, "bytes */1000", 0), "{outside}");
    }
    for whole in [
        "bytes=2-1",
        "bytes=0-1,5-6",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "lines=0-1",
    ] {
        assert_eq!(range(whole), expect(200, "", 1000), "{whole}");
    }
    let if_range = |tag: &str| {
        let headers = [("range", "bytes=0-9"), ("if-range", tag)];
        ask(&rig, Method::GET, path, &headers).status().as_u16()
    };
    assert_eq!(if_range("\"7-audio-0\""), 206);
    assert_eq!(if_range("\"other\""), 200);
    let head = ask(&rig, Method::HEAD, path, &[("range", "bytes=0-9")]);
    assert_eq!(head.status(), 200, "a range is for GET alone");
}

#[test]
fn methods() {
    let rig = rig();
    let options = ask(&rig, Method::OPTIONS, "master.m3u8", &[]);
    assert_eq!(options.status(), 204);
    let methods = header(&options, "access-control-allow-methods");
    assert_eq!(methods, "GET, HEAD, OPTIONS");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let response = ask(&rig, method, "master.m3u8", &[]);
        assert_eq!(response.status(), 405);
        assert_eq!(header(&response, "allow"), "GET, HEAD, OPTIONS");
    }
}

#[test]
fn no_second_spelling_of_an_address() {
    let rig = rig();
    for path in [
        "",
        "/",
        "master.m3u8/",
        "./master.m3u8",
        "../show/master.m3u8",
        "%2e%2e/show/master.m3u8",
        "7%2fsource%2f0.ts",
        "7/source/%00.ts",
        "7/source/00.ts",
        "7/source/+0.ts",
        "07/source/0.ts",
        "07/source.m3u8",
        "7/source.m3u8/",
        "7/source/0",
        "7//0.ts",
        "7/source/0.ts/",
        "7/source/18446744073709551616.ts",
        "muxed/muxed.m3u8",
        "muxed/master.m3u8",
        "muxed/muxed/7/source/0.ts",
    ] {
        let response = ask(&rig, Method::GET, path, &[]);
        assert_eq!(response.status(), 404, "{path}");
    }
    let long = format!("{}.m3u8", "x".repeat(20_000));
    assert_eq!(ask(&rig, Method::GET, &long, &[]).status(), 404);
    assert_eq!(
        ask(&rig, Method::GET, "7/source/0.ts?x=1", &[]).status(),
        200
    );
}

#[test]
fn muxed_can_be_turned_off() {
    let rig = Rig::new(crate::origin::Config {
        muxed: false,
        ..crate::origin::Config::default()
    });
    rig.whole(0);
    assert_eq!(ask(&rig, Method::GET, "7/source.m3u8", &[]).status(), 200);
    for path in [
        "muxed.m3u8",
        "muxed/source.m3u8",
        "muxed/7/source.m3u8",
        "muxed/7/source/0.ts",
    ] {
        assert_eq!(ask(&rig, Method::GET, path, &[]).status(), 404);
    }
}

proptest! {
    #[test]
    fn no_path_and_no_header_is_a_surprise(
        path in "[a-z0-9./%+-]{0,40}",
        range in "\\PC{0,30}|bytes=[0-9]{0,22}-[0-9]{0,22}",
        tag in "\\PC{0,20}",
    ) {
        let rig = rig();
        let Ok(uri) = format!("/live/show/{path}").parse::<http::Uri>() else {
            return Ok(());
        };
        let mut request = Request::get(uri);
        for (name, value) in [("range", &range), ("if-none-match", &tag), ("if-range", &tag)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                request = request.header(name, value);
            }
        }
        let response = handle(&rig.origin, &request.body(()).unwrap());
        let status = response.status().as_u16();
        prop_assert!([200, 206, 304, 307, 404, 416].contains(&status));
    }
}
