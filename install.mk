# SPDX-License-Identifier: BSD-3-Clause
#
# make install: the server, tools, plugins, headers, man pages and, for the
# running kernel, the module. DESTDIR stages it for a package, which builds the
# module by its own means: INSTALL_MODULE= leaves it out.

PREFIX ?= /usr
LIBDIR ?= $(PREFIX)/lib
PLUGINDIR := $(LIBDIR)/zufs
UNITDIR ?= /lib/systemd/system
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
INSTALL_MODULE ?= 1
INSTALL := install
TOOLS := zusd zusctl mkfs.zufs zusfuse $(ZLOGFS_TOOLS)

.PHONY: install install-module uninstall

install: user $(if $(INSTALL_MODULE),install-module)
	$(INSTALL) -d $(addprefix $(DESTDIR),$(PREFIX)/sbin $(PLUGINDIR) $(UNITDIR) \
		$(COMPLETIONDIR) $(PREFIX)/include/zufs $(PREFIX)/share/man/man8)
	$(INSTALL) -m 755 $(addprefix $(BUILD)/zus/,$(TOOLS)) $(DESTDIR)$(PREFIX)/sbin
	$(INSTALL) -m 644 $(BUILD)/zus/libzus.so.1 $(BUILD)/zus/libzusfuse.so.1 $(DESTDIR)$(LIBDIR)
	ln -sf libzus.so.1 $(DESTDIR)$(LIBDIR)/libzus.so
	ln -sf libzusfuse.so.1 $(DESTDIR)$(LIBDIR)/libzusfuse.so
	$(INSTALL) -m 644 $(BUILD)/zusfs-examples/*.so $(DESTDIR)$(PLUGINDIR)
	$(INSTALL) -m 644 api/*.h zus/include/*.h zus/fuse/zus_fuse.h \
		$(DESTDIR)$(PREFIX)/include/zufs
	$(INSTALL) -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	$(INSTALL) -m 644 dist/zusd@.service $(DESTDIR)$(UNITDIR)
	$(INSTALL) -m 644 dist/bash-completion $(DESTDIR)$(COMPLETIONDIR)/zusd
	for tool in $(filter-out zusd,$(TOOLS)); do \
		ln -sf zusd $(DESTDIR)$(COMPLETIONDIR)/$$tool; \
	done
	$(if $(DESTDIR),,ldconfig)

# For the kernel that runs, from its own headers
KREL := $(shell uname -r)

install-module:
	@test -e /lib/modules/$(KREL)/build || { \
		echo "no headers of the running kernel: install linux-headers-$(KREL)" >&2; \
		exit 1; }
	+$(MAKE) -C /lib/modules/$(KREL)/build M=$(CURDIR)/zuf MO= ZUF_API=$(CURDIR)/api modules
	$(INSTALL) -d $(DESTDIR)/lib/modules/$(KREL)/updates
	$(INSTALL) -m 644 zuf/zuf.ko $(DESTDIR)/lib/modules/$(KREL)/updates
	+$(MAKE) -C /lib/modules/$(KREL)/build M=$(CURDIR)/zuf clean
	$(if $(DESTDIR),,depmod $(KREL))

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/sbin/,$(TOOLS))
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libzus.so libzus.so.1 libzusfuse.so libzusfuse.so.1)
	rm -rf $(DESTDIR)$(PLUGINDIR) $(DESTDIR)$(PREFIX)/include/zufs
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/man8/,$(TOOLS:%=%.8) ztoyfs.8)
	rm -f $(DESTDIR)$(UNITDIR)/zusd@.service
	rm -f $(addprefix $(DESTDIR)$(COMPLETIONDIR)/,$(TOOLS))
	rm -f $(DESTDIR)/lib/modules/$(KREL)/updates/zuf.ko
