// For the browser tests: functions that run in the page, where nothing of this file but their own text is.

/** Runs in the page before its own code: keeps what the page makes, and tells of what the CSP stops. */
export function spy({ iceTransportPolicy, noDevices }) {
	const seen = { peers: [], sockets: [], tracks: [], states: [] };
	Object.defineProperty(window, '__seen', { value: seen });

	const only = (configuration) => iceTransportPolicy ? { ...configuration, iceTransportPolicy } : configuration;
	window.RTCPeerConnection = class extends RTCPeerConnection {
		constructor(configuration, ...rest) {
			super(only(configuration), ...rest);
			seen.peers.push(this);
		}

		setConfiguration(configuration) {
			super.setConfiguration(only(configuration));
		}
	};
	window.WebSocket = class extends WebSocket {
		constructor(url, protocols) {
			super(url, protocols);
			const entry = { url: String(url), protocols, code: null };
			seen.sockets.push(entry);
			this.addEventListener('close', (e) => { entry.code = e.code; });
		}
	};
	const { mediaDevices } = navigator;
	if (!mediaDevices)
		return; // about:blank
	const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
	mediaDevices.getUserMedia = async (constraints) => {
		if (noDevices)
			throw new DOMException('Requested device not found', 'NotFoundError');
		const stream = await getUserMedia(constraints);
		seen.tracks.push(...stream.getTracks());
		return stream;
	};
	// A state that is over within a moment is seen too.
	new MutationObserver((changes) => {
		for (const { target } of changes)
			if (target.matches('[data-connection]') && target.dataset.state !== seen.states.at(-1))
				seen.states.push(target.dataset.state);
	}).observe(document, { subtree: true, attributeFilter: ['data-state'] });
	document.addEventListener('securitypolicyviolation', (e) => {
		console.error(`CSP: ${e.violatedDirective} stops ${e.blockedURI || 'inline'} (${e.sourceFile}:${e.lineNumber})`);
	});
}

/** Runs in the page: what the newest connection that lives has sent and received. */
export async function readMedia() {
	const peer = window.__seen.peers.filter((p) => p.connectionState !== 'closed').at(-1);
	const got = { peers: window.__seen.peers.length, frames: 0, audio: 0, energy: 0, pair: null };
	const video = document.querySelector('video#remote');
	got.playing = Boolean(video) && !video.paused && video.videoWidth > 0 && video.readyState >= 2;
	got.shown = video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
	if (!peer)
		return got;
	const stats = new Map([...(await peer.getStats())]);
	for (const s of stats.values()) {
		if (s.type === 'inbound-rtp' && s.kind === 'video')
			got.frames += s.framesDecoded ?? 0;
		if (s.type === 'inbound-rtp' && s.kind === 'audio') {
			got.audio += s.packetsReceived ?? 0;
			got.energy += s.totalAudioEnergy ?? 0;
		}
		if (s.type === 'transport' && s.selectedCandidatePairId) {
			const pair = stats.get(s.selectedCandidatePairId);
			got.pair = [stats.get(pair?.localCandidateId)?.candidateType, stats.get(pair?.remoteCandidateId)?.candidateType];
		}
	}
	return got;
}

/** Runs in the page: the mean brightness of the remote picture, 0 to 255. */
export function readBrightness() {
	const canvas = document.createElement('canvas');
	canvas.width = canvas.height = 16;
	const context = canvas.getContext('2d');
	context.drawImage(document.querySelector('video#remote'), 0, 0, 16, 16);
	const { data } = context.getImageData(0, 0, 16, 16);
	let sum = 0;
	for (let i = 0; i < data.length; i += 4)
		sum += (data[i] + data[i + 1] + data[i + 2]) / 3;
	return sum / (16 * 16);
}
