//! Reserved records, and reads that wait for their data.

use futures_util::join;
use netswap_core::client::Outcome;
use netswap_core::types::{Access, Version};
use netswap_smol::Error;

use crate::support::{options, run, sleep, start};
use crate::{A_WHILE, client, client_from, pattern, soon};

#[test]
fn reads_of_a_reserved_record_wait_for_its_data() {
    run(async {
        let server = start(options()).await;
        let (host, joiner) = (client(&server).await, client_from("127.0.0.2", &server).await);
        let pointer = host.reserve(Access::READ).await.unwrap();
        let stat = joiner.stat(pointer).await.unwrap();
        assert!(stat.reserved && stat.version == Version(0) && stat.len == 0);
        assert_eq!(host.list().await.unwrap(), [pointer]);
        let mut streamed = Vec::new();
        let (whole, patient, range, changed, piecewise, written) = join!(
            joiner.resolve(pointer),
            joiner.resolve_wait(pointer, None),
            joiner.read_range(pointer, 10, 5),
            joiner.resolve_if_changed(pointer, None),
            joiner.resolve_into(pointer, &mut streamed, |_, _| ()),
            async {
                sleep(A_WHILE).await;
                // Other calls do not wait.
                joiner.ping("?").await.unwrap();
                host.replace(pointer, pattern(200_000)).await
            },
        );
        assert_eq!(written.unwrap(), Version(1));
        assert!(whole.unwrap() == pattern(200_000) && patient.unwrap() == pattern(200_000));
        assert_eq!(range.unwrap().data, pattern(200_000)[10..15]);
        assert_eq!(changed.unwrap().unwrap().version, Version(1));
        assert_eq!(piecewise.unwrap(), 200_000);
        assert!(streamed == pattern(200_000));
        // Of a record that has data there is nothing to wait for.
        assert!(soon(joiner.resolve_wait(pointer, Some(A_WHILE))).await.unwrap() == pattern(200_000));
    })
}

#[test]
fn a_wait_has_its_time_limit() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let pointer = client.reserve(Access::READ).await.unwrap();
        let timed_out =
            |result: Result<_, Error>| matches!(result, Err(Error::TimedOut { outcome: Outcome::NotDone }));
        assert!(timed_out(soon(client.resolve_wait(pointer, Some(A_WHILE))).await));
        let hasty = client.with_timeout(A_WHILE);
        assert!(timed_out(soon(hasty.resolve(pointer)).await));
        // A wait may take longer than any other call.
        let waits = smol::spawn(async move { hasty.resolve_wait(pointer, Some(A_WHILE * 100)).await });
        sleep(A_WHILE * 4).await;
        assert!(!waits.is_finished());
        client.replace(pointer, "at last").await.unwrap();
        assert_eq!(soon(waits).await.unwrap(), "at last");
    })
}
