// The QR label's address ends in #SECRET: a part that no browser sends. It goes into the field, and
// out of the address.

const secret = decodeURIComponent(location.hash.slice(1));
if (secret) {
  document.getElementById("secret").value = secret;
  history.replaceState(null, "", location.pathname);
}
