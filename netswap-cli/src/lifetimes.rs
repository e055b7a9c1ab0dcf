//! Commands about records before and after their owner's presence: `reserve`, `lifetime` and `request`.

use crate::args::{Lifetime, Request, Reserve};
use crate::failure::Failure;
use crate::hold::Held;
use crate::output;
use crate::session::Session;
use crate::target;

/// Makes a record without data. With `--hold`, gives back what is to be held.
pub(crate) async fn reserve(args: Reserve) -> Result<Option<Held>, Failure> {
    let session = Session::open(&args.connection, &args.connection.server).await?;
    let identity = session.identify().await?;
    let reserved = session.client.reserve(args.access).await;
    let pointer = reserved.map_err(|error| session.failure("cannot reserve a record", error))?;
    if args.url {
        output::line(target::url(&session.server, pointer))?;
    } else {
        output::line(pointer)?;
    }
    if args.hold {
        output::note("the record is held; Ctrl-C ends this");
        return Ok(Some(Held { session, pointer, identity }));
    }
    session.client.close().await;
    Ok(None)
}

/// Sets how long a record lives, and whose it becomes then.
pub(crate) async fn lifetime(args: Lifetime) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let lifetime = netswap_tokio::Lifetime { grace: args.grace.0, ttl: args.ttl.0, heir: args.heir.0 };
    let done = session.client.set_lifetime(pointer, lifetime).await;
    done.map_err(|error| session.failure(pointer, error))?;
    session.client.close().await;
    Ok(())
}

/// Asks the owner for a record.
pub(crate) async fn request(args: Request) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let done = session.client.request_ownership(pointer).await;
    done.map_err(|error| session.failure(pointer, error))?;
    output::note("the owner is told if it watches the record");
    session.client.close().await;
    Ok(())
}
