// A Colyseus room whose state carries pointers to avatars. The state is sent to every client with every change, so that it
// has to be small: of an avatar, a picture of hundreds of kilobytes, it has 16 digits. Clients put their own avatar on the
// NetSwap server, and read those of others when they see them.
//
//   node examples/colyseus.mjs [HOST:PORT of a NetSwap server]
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { Room, Server } from "@colyseus/core";
import { defineTypes, MapSchema, Schema } from "@colyseus/schema";
import { WebSocketTransport } from "@colyseus/ws-transport";
import { connect, formatPointer, parsePointer } from "netswap";

const { Client } = createRequire(import.meta.url)("colyseus.js");

class Player extends Schema {}
defineTypes(Player, { name: "string", avatar: "string" });

class Lobby extends Schema {
  constructor() {
    super();
    this.players = new MapSchema();
  }
}
defineTypes(Lobby, { players: { map: Player } });

class LobbyRoom extends Room {
  onCreate() {
    this.setState(new Lobby());
  }

  onJoin(client, { name, avatar }) {
    parsePointer(avatar); // what is no pointer has no place in the state
    const player = new Player();
    player.name = String(name);
    player.avatar = avatar;
    this.state.players.set(client.sessionId, player);
  }

  onLeave(client) {
    this.state.players.delete(client.sessionId);
  }
}

/** A player with an avatar, who comes from an address of its own. */
async function enter(url, address, bind, name) {
  const netswap = await connect({ address, bind });
  const picture = randomBytes(300_000);
  const avatar = formatPointer(await netswap.create(picture, "r"));
  const room = await new Client(url).joinOrCreate("lobby", { name, avatar });
  return { netswap, picture, room };
}

/** Waits until a player sees so many others, and reads their avatars. */
async function avatars({ netswap, room }, count) {
  while ((room.state.players?.size ?? 0) < count) await new Promise((resolve) => room.onStateChange.once(resolve));
  const players = [...room.state.players.values()];
  const pictures = await Promise.all(players.map(({ avatar }) => netswap.resolve(parsePointer(avatar))));
  return new Map(players.map(({ name }, index) => [name, pictures[index]]));
}

const address = process.argv[2] ?? "127.0.0.1:7420";
const transport = new WebSocketTransport({});
const server = new Server({ transport, greet: false, gracefullyShutdown: false });
server.define("lobby", LobbyRoom);
await server.listen(0, "127.0.0.1");
const url = `ws://127.0.0.1:${transport.server.address().port}`;

const ann = await enter(url, address, "127.0.0.2", "Ann");
const bob = await enter(url, address, "127.0.0.3", "Bob");
const [seenByAnn, seenByBob] = await Promise.all([avatars(ann, 2), avatars(bob, 2)]);
console.log(`Ann sees Bob: ${seenByAnn.get("Bob").equals(bob.picture)}`);
console.log(`Bob sees Ann: ${seenByBob.get("Ann").equals(ann.picture)}`);

await Promise.all([ann.room.leave(), bob.room.leave()]);
await Promise.all([ann.netswap.close(), bob.netswap.close()]);
await server.gracefullyShutdown(false);
