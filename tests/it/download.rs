//! Pictures that Whop shows, fetched inside the process and over a socket.

use std::sync::Arc;

use secrecy::SecretString;
use whop_sync::core::model::{Dialect, ProfileRead};
use whop_sync::core::value::{ImageFormat, UserId};
use whop_sync::emulator::Emulator;
use whop_sync::emulator::serve::Server;
use whop_sync::remote::{ApiBase, HttpTransport, Transport};

use crate::lab::{Lab, PLATFORM};

const JANE: &[u8] = include_bytes!("../../examples/avatars/jane.png");
const NOISE: &[u8] = b"<svg onload='alert(1)'></svg>";

/// What each of a user's two pictures comes to.
async fn fetch(lab: &Lab, users: [&str; 2], transport: Arc<dyn Transport>) -> Vec<String> {
    let client = lab.client(transport);
    let mut urls = Vec::new();
    for user in users {
        let read = client.read_profile(&UserId::parse(user).unwrap()).await.unwrap();
        let ProfileRead::Seen(profile) = read else {
            panic!("{read:?}");
        };
        urls.push(profile.picture.unwrap());
    }
    urls.push(format!("{}x", urls[0]).into());
    let mut got = Vec::new();
    client
        .download_pictures(urls.clone(), |url, outcome| {
            let at = urls.iter().position(|known| *known == url).unwrap();
            let told = outcome.map(|picture| {
                assert_eq!(picture.format, ImageFormat::Png);
                assert!(picture.bytes == JANE);
                format!("{}x{}", picture.width, picture.height)
            });
            got.push((at, told.unwrap_or_else(|why| why)));
        })
        .await;
    got.sort();
    got.into_iter().map(|(_, told)| told).collect()
}

#[tokio::test]
async fn pictures_arrive_inside_the_process_and_over_a_socket() {
    let lab = Lab::new(Vec::new(), Dialect::Accounts);
    let emulator: &Emulator = &lab.emulator;
    let users = ["ana", "bo"].map(|name| {
        let email = format!("{name}@shop.test");
        emulator.add_account(PLATFORM, &email, name, Default::default());
        emulator.add_user(&email, name)
    });
    assert!(emulator.set_picture(&users[0], Some(PLATFORM), Some(JANE)));
    assert!(emulator.set_picture(&users[1], Some(PLATFORM), Some(NOISE)));
    let users = [users[0].as_str(), users[1].as_str()];
    let expected = [
        "512x512",
        "it is not a PNG, JPEG, GIF or WebP picture but an SVG drawing",
        "it is no longer there",
    ];
    assert_eq!(fetch(&lab, users, lab.transport()).await, expected);

    let server = Server::bind(emulator.clone(), "127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let base = ApiBase::parse(&server.base()).unwrap();
    tokio::spawn(server.run(std::future::pending()));
    let http = HttpTransport::new(base, SecretString::from("key")).unwrap();
    assert_eq!(fetch(&lab, users, Arc::new(http)).await, expected);
    let writes = emulator
        .requests()
        .into_iter()
        .filter(|seen| seen.method != "GET");
    assert_eq!(writes.count(), 0);
}
