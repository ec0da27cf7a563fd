# SPDX-License-Identifier: MIT
peergate_fuzz(NAME dns SOURCES fuzz_dns.c DEPS gw_dns)
peergate_fuzz(NAME dns_tcp SOURCES fuzz_dns_tcp.c DEPS gw_dns)
peergate_fuzz(NAME doctor SOURCES fuzz_doctor.c DEPS gw_dns gw_sysdns)
