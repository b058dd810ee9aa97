// The seed's contract, less what no scenario of the bench asks for: accounts in memory, who is there, chats, signals, calls.
// node.js and bun.js put their servers around it, so that both do the same work for each message.
import { createSecretKey } from "node:crypto";
import jwt from "jsonwebtoken";

// PEER_PLAIN=1: as most write it, with the secret as a string, which is tried as a public key first, at every token, and the list of
// doctors made for each who asks.
const PLAIN = process.env.PEER_PLAIN === "1";
const TEXT = "a secret of the peers, for the bench only";
const SECRET = PLAIN ? TEXT : createSecretKey(Buffer.from(TEXT));
const GRACE_MS = 10_000;
const ROLES = ["PATIENT", "DOCTOR"];
const STATUSES = ["ONLINE", "BUSY", "OFFLINE"];

// sendAll(text, but): to all connections, or all but one; send(connection, text): to one. Each connection has a member `user`.
// Both lists are made into text once, and again when somebody's part in them has changed: announce() and register() forget them.
export function createContract({ sendAll, send, hash, compare }) {
	const users = new Map(); // id -> user
	const byEmail = new Map();
	const present = new Map(); // id -> user: who belongs on the list
	const doctors = []; // by name
	const calls = new Map(); // callId -> { caller, callee }

	const view = (user) => ({ id: user.id, name: user.name, role: user.role, status: user.call ? "BUSY" : user.status });
	let listed, listedDoctors;
	const list = () => (listed ??= JSON.stringify({ type: "users", users: Array.from(present.values(), view) }));
	const doctorsText = () => JSON.stringify({ doctors: doctors.map(view) });
	const listDoctors = PLAIN ? doctorsText : () => (listedDoctors ??= doctorsText());

	// The list has changed: everyone gets it, made into text once.
	function announce(user) {
		if (user.connections.size > 0 || user.leaving || (user.role === "DOCTOR" && user.status !== "OFFLINE"))
			present.set(user.id, user);
		else
			present.delete(user.id);
		listed = listedDoctors = undefined;
		sendAll(list());
	}

	function sendUser(user, message) {
		const text = JSON.stringify(message);
		for (const connection of user.connections)
			send(connection, text);
	}

	function setStatus(user, status) {
		if (user.status === status)
			return;
		user.status = status;
		announce(user);
	}

	const tokenOf = (user) => jwt.sign({ role: user.role }, SECRET, { subject: String(user.id), expiresIn: "8h", algorithm: "HS256" });

	function whoHas(token) {
		try {
			return users.get(Number(jwt.verify(token, SECRET, { algorithms: ["HS256"] }).sub));
		} catch {
			return undefined;
		}
	}

	async function register({ name, email, password, role }) {
		if (typeof name !== "string" || typeof email !== "string" || typeof password !== "string" || !ROLES.includes(role))
			return { status: 400, body: { code: "validation_failed" } };
		const key = email.toLowerCase();
		if (byEmail.has(key))
			return { status: 409, body: { code: "email_taken" } };
		byEmail.set(key, null); // taken while the password is hashed
		const user = { id: users.size + 1, name, email, role, status: "OFFLINE", connections: new Set(), leaving: null, call: null };
		users.set(user.id, user);
		byEmail.set(key, user);
		user.password = await hash(password);
		if (role === "DOCTOR") {
			doctors.push(user);
			doctors.sort((a, b) => (a.name < b.name ? -1 : 1));
			listedDoctors = undefined;
		}
		return { status: 201, body: { token: tokenOf(user), user: { ...view(user), email } } };
	}

	async function login({ email, password }) {
		const user = typeof email === "string" ? byEmail.get(email.toLowerCase()) : undefined;
		if (!user?.password || typeof password !== "string" || !(await compare(password, user.password)))
			return { status: 401, body: { code: "bad_credentials" } };
		return { status: 200, body: { token: tokenOf(user), user: { ...view(user), email: user.email } } };
	}

	function postStatus(user, { status }) {
		if (user.role !== "DOCTOR")
			return { status: 403, body: { code: "doctors_only" } };
		if (!STATUSES.includes(status))
			return { status: 400, body: { code: "validation_failed" } };
		setStatus(user, status);
		return { status: 200, body: { user: view(user) } };
	}

	function connected(connection) {
		const { user } = connection;
		const wasThere = user.connections.size > 0 || user.leaving;
		clearTimeout(user.leaving);
		user.leaving = null;
		user.connections.add(connection);
		if (wasThere && user.status !== "OFFLINE") {
			send(connection, list());
			return;
		}
		if (user.status === "OFFLINE")
			user.status = "ONLINE";
		announce(user);
	}

	function disconnected(connection) {
		const { user } = connection;
		user.connections.delete(connection);
		if (user.connections.size > 0)
			return;
		user.leaving = setTimeout(() => {
			user.leaving = null;
			user.status = "OFFLINE";
			if (user.call)
				endCall(user.call, user, "disconnected");
			announce(user);
		}, GRACE_MS);
	}

	const fail = (connection, code, message) => send(connection, JSON.stringify({ type: "error", code, re: message?.type }));

	function onChat(connection, message) {
		const text = message.data?.message;
		if (typeof text !== "string" || text.length === 0 || text.length > 4000)
			return fail(connection, "bad_message", message);
		const from = connection.user.id;
		const ts = new Date().toISOString();
		if (message.to === undefined)
			return sendAll(JSON.stringify({ type: "chat", from, data: { message: text }, ts }), connection);
		const to = users.get(Number(message.to));
		if (!to)
			return fail(connection, "not_found", message);
		if (to.connections.size === 0)
			return fail(connection, "recipient_offline", message);
		sendUser(to, { type: "chat", from, to: to.id, data: { message: text }, ts });
	}

	function onSignal(connection, message) {
		const to = users.get(Number(message.to));
		if (!to)
			return fail(connection, "not_found", message);
		sendUser(to, { type: "signal", from: connection.user.id, data: message.data });
	}

	function onCallStart(connection, message) {
		const caller = connection.user;
		const callee = users.get(Number(message.to));
		const callId = message.data?.callId ?? crypto.randomUUID();
		const reason = caller.role !== "PATIENT" ? "not_a_patient"
			: !callee ? "not_found"
			: callee.role !== "DOCTOR" ? "not_a_doctor"
			: caller.call ? "caller_busy"
			: callee.connections.size === 0 || callee.status === "OFFLINE" ? "offline"
			: callee.call || callee.status !== "ONLINE" ? "busy"
			: undefined;
		send(connection, JSON.stringify({ type: "call_response", from: callee?.id, data: { callId, ok: !reason, reason } }));
		if (reason)
			return;
		caller.call = callee.call = { callId, caller, callee };
		calls.set(callId, caller.call);
		sendUser(callee, { type: "incoming_call", from: caller.id, data: { callId, name: caller.name } });
		announce(caller);
	}

	function endCall(call, by, reason) {
		call.caller.call = call.callee.call = null;
		calls.delete(call.callId);
		for (const party of [call.caller, call.callee])
			sendUser(party, { type: "call_end", from: by.id, data: { callId: call.callId, reason } });
	}

	function onCallEnd(connection, message) {
		const { user } = connection;
		if (!user.call)
			return fail(connection, "no_call", message);
		endCall(user.call, user, "hangup");
		announce(user);
	}

	function onSetStatus(connection, message) {
		if (connection.user.role !== "DOCTOR" || !STATUSES.includes(message.data?.status))
			return fail(connection, "bad_message", message);
		setStatus(connection.user, message.data.status);
	}

	const handlers = { chat: onChat, signal: onSignal, call_start: onCallStart, call_end: onCallEnd, set_status: onSetStatus };

	function received(connection, text) {
		let message;
		try {
			message = JSON.parse(text);
		} catch {
			return fail(connection, "bad_json");
		}
		const handler = handlers[message?.type];
		return handler ? handler(connection, message) : fail(connection, "unknown_type", message);
	}

	return { register, login, postStatus, listDoctors, whoHas, connected, disconnected, received };
}
