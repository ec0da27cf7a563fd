/* SPDX-License-Identifier: MIT */
/* The file that NetworkManager's dnsmasq reads: names below our domains go to our server, at any port. Files only: who makes dnsmasq read it is networkmanager.c. */
#ifndef FRONTENDS_DNS_SYSTEM_NM_DNSMASQ_H
#define FRONTENDS_DNS_SYSTEM_NM_DNSMASQ_H

#include "frontends/dns/system/mechanism.h"

#define GW_NM_DNSMASQ_FOLDER "/etc/NetworkManager/dnsmasq.d"

/* Completes the job's record, writes the journal, then the file. 0, GW_E_NOMEM, -errno. */
int gw_nm_dnsmasq_write(struct gw_sysdns_job *job);
/* Removes the file of the record, if it is as we wrote it; another is left, and that is logged. 0 or -errno. */
int gw_nm_dnsmasq_remove(const struct gw_sysdns_record *record);

#endif
