// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a Raspberry Pi's firmware is told and asked, for Debian's kernel, which does neither.
 *
 * Told: a restart whose argument names `tryboot` (reboot "0 tryboot") is a trial. The firmware keeps
 * that for the one restart (property tag SET_REBOOT_FLAGS, bit 0).
 * Asked: whether it knows that tag (`reboot_flags`), and how the supply and the heat are
 * (`get_throttled`), both files of the firmware's own device, the latter as Raspberry Pi's kernel
 * has it.
 *
 * Both go by the documented mailbox property interface: in a tag's head bit 31 of the last word is
 * set by a firmware that has answered it; one that does not know the tag leaves it alone.
 */

#include <linux/err.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>
#include <linux/reboot.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <soc/bcm2835/raspberrypi-firmware.h>

#define TAG_GET_THROTTLED	0x00030046
#define TAG_GET_REBOOT_FLAGS	0x00030064
#define TAG_SET_REBOOT_FLAGS	0x00038064
#define ANSWERED		BIT(31)
#define TRYBOOT			BIT(0)

struct question {
	struct rpi_firmware_property_tag_header head;
	u32 value;
};

static struct rpi_firmware *firmware;
static struct platform_device *device;

static int ask(u32 tag, u32 *value)
{
	struct question question = {
		.head = { .tag = tag, .buf_size = sizeof(*value) },
		.value = *value,
	};
	int failed = rpi_firmware_property_list(firmware, &question, sizeof(question));

	if (failed)
		return failed;
	if (!(question.head.req_resp_size & ANSWERED))
		return -EOPNOTSUPP;
	*value = question.value;
	return 0;
}

static int before_restart(struct notifier_block *block, unsigned long action, void *argument)
{
	u32 flags = TRYBOOT;
	int failed;

	/* The word after the partition's number: Raspberry Pi's kernel looks for it, too. */
	if (action != SYS_RESTART || !argument || !strstr(argument, " tryboot"))
		return NOTIFY_DONE;
	failed = ask(TAG_SET_REBOOT_FLAGS, &flags);
	if (failed)
		dev_err(&device->dev, "the firmware takes no trial: %d\n", failed);
	else
		dev_info(&device->dev, "the firmware is told: the next boot is a trial\n");
	return NOTIFY_DONE;
}

static struct notifier_block restart_block = { .notifier_call = before_restart };

static ssize_t show(u32 tag, char *text)
{
	u32 value = 0;
	int failed = ask(tag, &value);

	return failed ? failed : sysfs_emit(text, "%x\n", value);
}

static ssize_t reboot_flags_show(struct device *dev, struct device_attribute *file, char *text)
{
	return show(TAG_GET_REBOOT_FLAGS, text);
}
static DEVICE_ATTR_RO(reboot_flags);

static ssize_t get_throttled_show(struct device *dev, struct device_attribute *file, char *text)
{
	return show(TAG_GET_THROTTLED, text);
}
static DEVICE_ATTR_RO(get_throttled);

static struct attribute *files[] = {
	&dev_attr_reboot_flags.attr,
	&dev_attr_get_throttled.attr,
	NULL,
};
static const struct attribute_group group = { .attrs = files };

static int __init begin(void)
{
	struct device_node *node =
		of_find_compatible_node(NULL, NULL, "raspberrypi,bcm2835-firmware");
	int failed = -ENODEV;

	if (!node)
		return failed;
	device = of_find_device_by_node(node);
	firmware = rpi_firmware_get(node);
	of_node_put(node);
	if (!device || !firmware)
		goto give_back;
	failed = sysfs_create_group(&device->dev.kobj, &group);
	if (failed)
		goto give_back;
	failed = register_reboot_notifier(&restart_block);
	if (!failed)
		return 0;
	sysfs_remove_group(&device->dev.kobj, &group);
give_back:
	if (firmware)
		rpi_firmware_put(firmware);
	if (device)
		put_device(&device->dev);
	return failed;
}

static void __exit end(void)
{
	unregister_reboot_notifier(&restart_block);
	sysfs_remove_group(&device->dev.kobj, &group);
	rpi_firmware_put(firmware);
	put_device(&device->dev);
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("Tells a Raspberry Pi's firmware of a trial boot, and asks it for the supply");
MODULE_AUTHOR("Poleside");
MODULE_LICENSE("GPL");
