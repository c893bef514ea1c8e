#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints -DZUF_HAVE_* for what the kernel headers below $1 offer. Looks for
# names rather than for versions, as stable kernels take newer interfaces in.
# Only compat.h may use what this prints.
inc=$1/include/linux

have() { # have NAME FILE REGEX
	if grep -qE "$3" "$inc/$2" 2>/dev/null; then
		printf ' -DZUF_HAVE_%s' "$1"
	fi
}

have MNT_IDMAP fs.h 'nop_mnt_idmap|struct mnt_idmap;'
have FILLATTR_MASK fs.h 'generic_fillattr\(struct mnt_idmap \*, u32'
have UPDATE_TIME_2 fs.h 'int \(\*update_time\) ?\(struct inode \*, int\)'
have CTIME_ACCESSORS fs.h 'inode_set_ctime_to_ts\('
have MTIME_ACCESSORS fs.h 'inode_set_mtime_to_ts\('
have PE_SIZE mm.h 'enum page_entry_size'
have COPY_SPLICE_READ fs.h 'copy_splice_read\('
have SPLICE_COPY splice.h 'splice_copy_file_range\('
have FOP_FLAGS fs.h 'fop_flags_t'
have BDEV_FILE blkdev.h 'bdev_file_open_by_dev\('
have VM_FLAGS_SET mm.h 'vm_flags_set\('
have INSERT_PFN_PMD huge_mm.h 'vmf_insert_pfn_pmd\(struct vm_fault \*vmf, pfn_t pfn, bool write\);'
have CLASS_FD file.h 'CLASS\(fd'
have FD_EMPTY file.h 'fd_empty\('
have SHRINKER_ALLOC shrinker.h 'shrinker_alloc\('
have ASSIGN_STR_1 ../trace/stages/stage6_event_callback.h 'define __assign_str\(dst\)'
have INODE_ACL fs.h 'get_inode_acl'
have FILELOCK_H filelock.h 'struct file_lock'
have LOCK_CORE filelock.h 'struct file_lock_core \{'
have SUPER_SET_UUID fs.h 'void super_set_uuid\('
