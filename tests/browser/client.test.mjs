/** Tests `client.js` in node against a socket server that sends streams in any chunks, or not at all. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";

import { EventStreamParser, ragStream } from "../../streamrag_cli/server/static/client.js";

const STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n";
const DONE = { type: "done", done: true, finish_reason: "stop", model: "m", usage: null, timings: {} };
const EVENTS = [
  { type: "status", status: "retrieving" },
  { type: "token", token: "Grüße 🌊 aus\nzwei Zeilen" },
  { type: "token", token: "data: not a field\r\n\r\n" },
  DONE,
];

/** The text of a complete stream, with comments and fields that a server or a proxy may insert. */
function streamOf(events, lineEnd = "\n") {
  const lines = [": ping", ""];
  events.forEach((event, id) => lines.push(`id: ${id}`, "event: ", `data: ${JSON.stringify(event)}`, "", ": ping", ""));
  return lines.map((line) => line + lineEnd).join("");
}

/** Run `use` with a server that calls `reply(socket)` for each complete request. */
async function serving(reply, use) {
  const requests = [];
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // some tests reset the connection
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
      const [head, body] = text.split("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (body === undefined || Buffer.byteLength(body) < length) return;
      requests.push({ head, body });
      text = "";
      reply(socket);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    return await use(`http://127.0.0.1:${server.address().port}`, requests, sockets);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** Wait until the first connection is closed. */
function closed([socket]) {
  return new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", resolve)));
}

async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

function lastError(events) {
  const { error, code, retryable } = events.at(-1);
  return { before: events.length - 1, error, code, retryable };
}

for (const [name, lineEnd] of [
  ["LF", "\n"],
  ["CR LF", "\r\n"],
  ["CR", "\r"],
]) {
  test(`a stream with ${name} is parsed the same at every split`, () => {
    const bytes = new TextEncoder().encode(streamOf(EVENTS, lineEnd));
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const decoder = new TextDecoder();
      const parser = new EventStreamParser();
      const data = [bytes.slice(0, cut), bytes.slice(cut)].flatMap((part) =>
        parser.push(decoder.decode(part, { stream: true })),
      );
      assert.deepEqual(
        data.map((each) => JSON.parse(each)),
        EVENTS,
      );
    }
    const decoder = new TextDecoder();
    const parser = new EventStreamParser();
    const data = [...bytes].flatMap((byte) => parser.push(decoder.decode(Uint8Array.of(byte), { stream: true })));
    assert.deepEqual(
      data.map((each) => JSON.parse(each)),
      EVENTS,
    );
  });
}

test("several data lines form one event, and a block without data is ignored", () => {
  const parser = new EventStreamParser();

  assert.deepEqual(
    parser.push("data: a\ndata:b\ndata:  c\ndata\n\nid: 7\n\ndatum: x\n: data: y\n\ndata:z\n\ndata: open"),
    ["a\nb\n c\n", "z"],
  );
});

test("a long line in small chunks has linear cost", () => {
  const parser = new EventStreamParser();
  const piece = "x".repeat(64);
  parser.push("data: ");
  for (let n = 0; n < 100_000; n += 1) parser.push(piece);

  assert.equal(parser.push("\n\n")[0].length, 6_400_000);
});

test("a stream sent byte by byte yields the events, and the request contains the options", async () => {
  const reply = async (socket) => {
    socket.setNoDelay(true);
    socket.write(STREAM);
    for (const byte of Buffer.from(streamOf(EVENTS, "\r\n"))) {
      socket.write(Uint8Array.of(byte));
      await new Promise(setImmediate);
    }
  };
  await serving(reply, async (url, requests) => {
    const history = [{ question: "Was ist das?", answer: "Ein Test." }];
    const filter = { k: 3, collection: "manuals", minScore: 0.5, in: ["a"], since: "7d", format: ["md"], tag: ["x"] };
    const options = { ...filter, baseUrl: `${url}/`, model: "m", key: "secret", history };

    assert.deepEqual(await collect(ragStream("Wie lange?", options)), EVENTS);
    const [{ head, body }] = requests;
    assert.match(head, /^POST \/rag\/stream-with-sources HTTP/);
    assert.match(head, /^authorization: Bearer secret$/im);
    assert.match(head, /^content-type: application\/json$/im);
    assert.deepEqual(JSON.parse(body), {
      query: "Wie lange?",
      k: 3,
      collection: "manuals",
      min_score: 0.5,
      in: ["a"],
      since: "7d",
      format: ["md"],
      tag: ["x"],
      model: "m",
      history,
    });
  });
});

test("omitted and empty options are not sent, and sources can be switched off", async () => {
  await serving(
    (socket) => socket.end(STREAM + streamOf([DONE])),
    async (url, requests) => {
      await collect(ragStream("q", { baseUrl: url, withSources: false, history: [] }));

      assert.match(requests[0].head, /^POST \/rag\/stream HTTP/);
      assert.doesNotMatch(requests[0].head, /authorization/i);
      assert.deepEqual(JSON.parse(requests[0].body), { query: "q" });
    },
  );
});

test("the client closes the stream at its last event", async () => {
  await serving(
    (socket) => socket.write(STREAM + streamOf([DONE, { type: "token", token: "too late" }])),
    async (url, _requests, sockets) => {
      assert.deepEqual(await collect(ragStream("q", { baseUrl: url })), [DONE]);
      await closed(sockets);
    },
  );
});

test("an end without a last event is a lost connection and is not retried", async () => {
  for (const end of [(socket) => socket.end(), (socket) => socket.resetAndDestroy()]) {
    const reply = (socket) => socket.write(STREAM + streamOf(EVENTS.slice(0, 2)), () => setImmediate(end, socket));
    await serving(reply, async (url, requests) => {
      assert.deepEqual(lastError(await collect(ragStream("q", { baseUrl: url }))), {
        before: 2,
        error: "the connection was lost",
        code: "connection_lost",
        retryable: true,
      });
      assert.equal(requests.length, 1);
    });
  }
});

test("a silent server is a lost connection, before and after the headers", async () => {
  for (const before of ["", STREAM]) {
    await serving(
      (socket) => socket.write(before),
      async (url) => {
        const events = await collect(ragStream("q", { baseUrl: url, silenceTimeoutMs: 200 }));

        assert.equal(lastError(events).error, "the connection was lost: the server sent nothing for 0.2 s");
      },
    );
  }
});

test("a slow caller does not cause a timeout", async () => {
  await serving(
    (socket) => socket.end(STREAM + streamOf(EVENTS)),
    async (url) => {
      const seen = [];
      for await (const event of ragStream("q", { baseUrl: url, silenceTimeoutMs: 400 })) {
        seen.push(event);
        await new Promise((resolve) => setTimeout(resolve, 450));
      }
      assert.deepEqual(seen, EVENTS);
    },
  );
});

test("an unreachable server is an error event", async () => {
  const url = await serving(
    () => {},
    (url) => url,
  );

  assert.deepEqual(lastError(await collect(ragStream("q", { baseUrl: url }))), {
    before: 0,
    error: "the server cannot be reached",
    code: "unreachable",
    retryable: true,
  });
});

test("a refused request is an error event with the server's message and the time to wait", async () => {
  const body = JSON.stringify({ error: "too many questions", code: "rate_limited", hint: "ask more slowly" });
  const fields = ["Content-Type: application/json", "Retry-After: 7", `Content-Length: ${body.length}`];
  const head = `HTTP/1.1 429 Too Many\r\n${fields.join("\r\n")}\r\n\r\n`;
  await serving(
    (socket) => socket.end(head + body),
    async (url) => {
      assert.deepEqual(await collect(ragStream("q", { baseUrl: url })), [
        {
          type: "error",
          error: "too many questions",
          code: "rate_limited",
          hint: "ask more slowly",
          retryable: true,
          http_status: 429,
          retry_after_s: 7,
        },
      ]);
    },
  );
});

test("a response that is not a stream is an error event", async () => {
  const cases = [
    ["502 Bad Gateway", "<h1>Bad gateway</h1>", "the server answered 502 instead of a stream", "http_502", true],
    ["200 OK", "<form>Log in</form>", "the server answered 200 instead of a stream", "http_200", false],
    ["204 No Content", "", "the server answered 204 instead of a stream", "http_204", false],
  ];
  for (const [status, body, error, code, retryable] of cases) {
    const reply = (socket) =>
      socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n${body}`);
    await serving(reply, async (url) => {
      const last = lastError(await collect(ragStream("q", { baseUrl: url })));

      assert.deepEqual(last, { before: 0, error, code, retryable });
    });
  }
});

test("an invalid event ends the stream with an error", async () => {
  for (const data of ["{broken", "[]", "null", "{}"]) {
    await serving(
      (socket) => socket.end(`${STREAM}data: ${data}\n\n`),
      async (url) => assert.equal(lastError(await collect(ragStream("q", { baseUrl: url }))).code, "malformed"),
    );
  }
});

test("aborting at any time ends the stream without an event and closes the connection", async () => {
  for (const sent of ["", STREAM, STREAM + streamOf(EVENTS.slice(0, 3))]) {
    const stop = new AbortController();
    const reply = (socket) =>
      socket.write(sent, () => (sent.includes("token") ? null : setImmediate(() => stop.abort())));
    await serving(reply, async (url, _requests, sockets) => {
      const seen = [];
      for await (const event of ragStream("q", { baseUrl: url, signal: stop.signal })) {
        seen.push(event.type);
        if (event.type === "token") stop.abort();
      }
      assert.deepEqual(seen, sent.includes("token") ? ["status", "token"] : []);
      await closed(sockets);
    });
  }
});

test("a question aborted in advance is not sent", async () => {
  await serving(
    () => assert.fail("a request"),
    async (url) => {
      assert.deepEqual(await collect(ragStream("q", { baseUrl: url, signal: AbortSignal.abort() })), []);
    },
  );
});

test("leaving the loop closes the connection", async () => {
  await serving(
    (socket) => socket.write(STREAM + streamOf(EVENTS.slice(0, 2))),
    async (url, _requests, sockets) => {
      for await (const event of ragStream("q", { baseUrl: url })) if (event.type === "token") break;
      await closed(sockets);
    },
  );
});
