// The page works without this; it saves a few clicks.
'use strict';

// Copy buttons.
for (const button of document.querySelectorAll('[data-copy]')) {
	const source = document.getElementById(button.dataset.copy);
	const copied = document.getElementById('copied');
	button.hidden = false;
	button.addEventListener('click', async () => {
		let done = true;
		try {
			await navigator.clipboard.writeText(source.textContent);
		} catch { // not allowed, or not over HTTPS
			getSelection().selectAllChildren(source);
			done = document.execCommand('copy');
		}
		button.textContent = copied.textContent = done ? 'Copied' : 'Press Ctrl+C';
		setTimeout(() => { button.textContent = 'Copy'; copied.textContent = ''; }, 3000);
	});
	// Going back to a page that the browser has kept shows no secret.
	addEventListener('pagehide', () => { source.textContent = '…'; });
}

// What needs attention, or has been done, comes first, also for those who don't see it.
(document.getElementById('mistakes') ?? document.getElementById('notice'))?.focus();

// Times in the reader's own zone.
for (const time of document.querySelectorAll('time')) {
	time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: 'long', timeStyle: 'short' });
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll('form[method=post]')) {
	let sent = false;
	form.addEventListener('submit', (event) => {
		if (sent) {
			event.preventDefault();
		}
		sent = true;
	});
	addEventListener('pageshow', () => { sent = false; });
}
