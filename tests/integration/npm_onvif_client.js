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
  told.head = await head(cam);
  told.imaging = await imaging(cam);
  told.mac = (await cam.getNetworkInterfaces())[0].info.hwAddress;
  told.host = (await cam.getHostname()).name;
  told.scopes = (await cam.getScopes()).length;
  told.users = (await cam.getUsers()).length;
  told.texts = await texts(cam);
  told.gop = await encoder(cam);
  told.ntp = (await cam.getNTP()).NTPManual.IPv4Address;
  await cam.setSystemDateAndTime({ dateTime: new Date(), dateTimeType: 'Manual', timezone: 'KST-9' });
  told.properties = Boolean(await cam.getEventProperties());
  told.event = await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no event')), 10000);
    cam.on('event', (message) => resolve(message.topic._));
    console.error('listening');
  });
  await new Promise((resolve) => cam.unsubscribe(() => resolve()));
  process.stdout.write(JSON.stringify(told), () => process.exit(0));
}

async function still(cam) {
  for (;;) {
    const status = await cam.getStatus({});
    if (status.moveStatus.panTilt === 'IDLE') return status.position;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Places, presets, home and auxiliaries.
async function head(cam) {
  const told = {};
  told.nodes = Object.keys(await cam.getNodes());
  told.configurations = Object.keys(await cam.getConfigurations());
  await cam.absoluteMove({ x: 0.2, y: 0.1, zoom: 0 });
  told.absolute = await still(cam);
  await cam.relativeMove({ x: -0.1, y: 0, zoom: 0 });
  told.relative = await still(cam);
  told.set = (await cam.setPreset({ presetName: 'north' }))[0].setPresetResponse[0].presetToken[0];
  await cam.setHomePosition({});
  await cam.absoluteMove({ x: 0, y: 0, zoom: 0 });
  await still(cam);
  await cam.gotoPreset({ preset: told.set });
  told.preset = await still(cam);
  told.presets = await cam.getPresets({});
  await cam.removePreset({ presetToken: told.set });
  told.left = Object.keys(await cam.getPresets({})).length;
  await cam.absoluteMove({ x: 0, y: 0, zoom: 0 });
  await still(cam);
  await cam.gotoHomePosition({});
  told.home = await still(cam);
  await cam.ptzSendAuxiliaryCommand({ data: 'tt:Wiper|On' });
  told.washer = await cam.ptzSendAuxiliaryCommand({ data: 'tt:Washer|On' }).catch(() => 'refused');
  return told;
}

// Exposure, IR-cut and focus.
async function imaging(cam) {
  const token = 'sensor';
  const told = {};
  told.before = await cam.getImagingSettings({ token });
  await cam.setImagingSettings({ token, irCutFilter: 'OFF', exposure: { mode: 'MANUAL', exposureTime: 4000 } });
  told.after = await cam.getImagingSettings({ token });
  await cam.imagingMove({ token, continuous: { speed: 0.5 } });
  await cam.imagingStop({ token });
  return told;
}

// Texts in the picture: a second one, changed and taken away again.
async function texts(cam) {
  const shown = async () => (await cam.getOSDs()).getOSDsResponse.OSDs.map((osd) => osd.textString.plainText);
  const made = await cam.createOSD({ plaintext: 'north', position: 'UpperLeft' });
  const told = [await shown()];
  const OSDToken = made.createOSDResponse.OSDToken;
  await cam.setOSD({ OSDToken, plaintext: 'south' });
  told.push(await shown());
  await cam.deleteOSD(OSDToken);
  return [...told, await shown()];
}

// The main encoder's distance of key pictures, written as read but for that, and read again.
async function encoder(cam) {
  const read = async () => (await cam.getVideoEncoderConfigurations()).find((e) => e.$.token === 'encoder-main');
  const now = await read();
  if (cam.media2Support) now.$.GovLength = 12; else now.H264.govLength = 12;
  await cam.setVideoEncoderConfiguration(now);
  const then = await read();
  return Number(cam.media2Support ? then.$.GovLength : then.H264.govLength);
}

main().catch((error) => { console.error(error); process.exit(1); });
