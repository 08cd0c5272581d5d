// A foreign client in a process of its own: npm `onvif` drives the camera end to end.
// Arguments: port, user, password. Prints what it learnt as JSON.
const { Cam } = require('onvif/promises');

async function main() {
  const [port, username, password] = process.argv.slice(2);
  const cam = new Cam({ hostname: '127.0.0.1', port: Number(port), username, password, timeout: 8000 });
  await cam.connect();
  const told = {};
  told.info = await cam.getDeviceInformation();
  told.time = await cam.getSystemDateAndTime();
  told.profiles = cam.profiles.map((profile) => profile.$.token);
  told.media2 = Boolean(cam.media2Support);
  told.stream = (await cam.getStreamUri({ protocol: 'RTSP' })).uri;
  told.snapshot = (await cam.getSnapshotUri({})).uri;
  told.presets = Object.keys(await cam.getPresets({})).length;
  await cam.continuousMove({ x: 1, y: 0, zoom: 0, timeout: 20000 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await cam.stop({ panTilt: true, zoom: true });
  const status = await cam.getStatus({});
  told.pan = status.position.x;
  told.moving = status.moveStatus;
  told.mac = (await cam.getNetworkInterfaces())[0].info.hwAddress;
  told.host = (await cam.getHostname()).name;
  told.scopes = (await cam.getScopes()).length;
  told.users = (await cam.getUsers()).length;
  told.osd = Boolean(await cam.getOSDs({}));
  told.event = await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no event')), 10000);
    cam.on('event', (message) => resolve(message.topic._));
    console.error('listening');
  });
  await new Promise((resolve) => cam.unsubscribe(() => resolve()));
  process.stdout.write(JSON.stringify(told), () => process.exit(0));
}

main().catch((error) => { console.error(error); process.exit(1); });
