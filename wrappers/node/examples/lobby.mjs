// A game lobby over WebSockets, of which the netcode is made for small messages: the map of several megabytes does not go
// through it. Its pointer does, 16 digits, and who joins late reads the map from the NetSwap server, with all that was
// changed since, and hears of what changes from then on.
//
//   node examples/lobby.mjs [HOST:PORT of a NetSwap server]
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";
import { connect, formatPointer, parsePointer } from "netswap";

/** The host of the game: owns the map, and welcomes players over the lobby's socket. */
async function host(address) {
  const netswap = await connect(address);
  const map = await netswap.create(randomBytes(5_000_000), "r");
  const lobby = new WebSocketServer({ port: 0, host: "127.0.0.1", maxPayload: 1024 });
  lobby.on("connection", (socket) => {
    // All that a late joiner is sent. No player's connection is held up by somebody else's download.
    socket.send(JSON.stringify({ type: "welcome", map: formatPointer(map) }));
  });
  await once(lobby, "listening");
  return {
    url: `ws://127.0.0.1:${lobby.address().port}`,
    /** Something is built: 16 bytes in the map. */
    build: (at, what) => netswap.writeRange(map, at, what),
    close: async () => {
      for (const socket of lobby.clients) socket.terminate();
      lobby.close();
      await netswap.close();
    },
  };
}

/** A player: joins the lobby, and has the map. Players come from other addresses than the host, here 127.0.0.x. */
async function join(url, address, bind) {
  const socket = new WebSocket(url);
  const [message] = await once(socket, "message");
  const welcome = JSON.parse(message);
  const netswap = await connect({ address, bind });
  // The whole map, then every change: one request, and nothing is missed between (docs/PROTOCOL.md §9.1).
  const map = await netswap.mirror(parsePointer(welcome.map));
  return {
    bytesOverTheLobby: message.length,
    map,
    leave: async () => {
      map.close();
      socket.terminate();
      await netswap.close();
    },
  };
}

const address = process.argv[2] ?? "127.0.0.1:7420";
const game = await host(address);
const early = await join(game.url, address, "127.0.0.2");
await game.build(1_000_000, Buffer.from("a tower, built  "));
await early.map.changed();

const late = await join(game.url, address, "127.0.0.3");
console.log(`late joiner: ${late.bytesOverTheLobby} bytes over the lobby, ${late.map.data.length} bytes of map`);
console.log(`with ${JSON.stringify(late.map.data.toString("latin1", 1_000_000, 1_000_014))} in it`);

await game.build(2_000_000, Buffer.from("a bridge"));
await Promise.all([early.map.changed(), late.map.changed()]);
console.log(`both maps the same: ${early.map.data.equals(late.map.data)}, version ${late.map.version}`);
await Promise.all([early.leave(), late.leave()]);
await game.close();
