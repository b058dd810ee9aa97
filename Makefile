# make run    build all and serve on http://127.0.0.1:8080
# make test   build all and run every test
#
# make help lists the rest. CC=clang, SANITIZE=1, SANITIZE=thread and FUZZ=1 choose another build, each in a folder of its own.

ifeq ($(origin CC),default)
CC := gcc
endif
BUILD := build/$(notdir $(CC))$(if $(SANITIZE),-sanitize)$(if $(filter thread,$(SANITIZE)),-thread)$(if $(FUZZ),-fuzz)

PACKAGES := libcjson libjwt sqlite3 libcrypt libcrypto
WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef
# No path of the build in what is installed.
PLACELESS := -ffile-prefix-map=$(CURDIR)=.
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
SANITIZERS := $(if $(filter thread,$(SANITIZE)),-fsanitize=thread,-fsanitize=address,undefined -fno-sanitize-recover=all) \
	-fno-omit-frame-pointer
# libFuzzer, clang's: it wants to see which way the code goes, and has a main() of its own.
FUZZERS := $(SANITIZERS) -fsanitize=fuzzer-no-link

CFLAGS := -O2 -g
CPPFLAGS := -D_GNU_SOURCE -DTELEMED_VERSION='"$(shell cat VERSION)"' -Ishared -I$(BUILD)/gen -MMD -MP
# Hidden: libjwt reads with jansson, some of whose names are ours too, and would get ours.
CFLAGS += -std=gnu11 $(PLACELESS) -fvisibility=hidden $(WARN) $(if $(FUZZ),$(FUZZERS),$(if $(SANITIZE),$(SANITIZERS),$(HARDEN)))
LDFLAGS := -pie -Wl,-z,relro,-z,now $(if $(FUZZ),$(SANITIZERS),$(if $(SANITIZE),$(SANITIZERS)))
# FastCGI's and libev's packages have no pkg-config file.
LDLIBS = $(shell pkg-config --libs $(PACKAGES))

SHARED := $(wildcard shared/*/*.c)
API := $(wildcard fcgi-api/*.c)
RELAY := $(wildcard ws-relay/*.c)
ADMIN := $(wildcard admin/*.c)
# What the tests link: a program without its main.c.
HUB := $(addprefix ws-relay/,hub.c routing.c roster.c view.c calls.c call_moves.c legs.c frame.c message.c)
# Each migration as a C string.
SCHEMAS := $(foreach f,$(wildcard shared/store/schema/*.sql),$(BUILD)/gen/schema_$(firstword $(subst _, ,$(notdir $(f)))).h)
CONNECTIONS := $(addprefix ws-relay/,conn.c slots.c assembly.c close_frame.c wire.c outbox.c allowance.c peers.c wheel.c)
UNIT := $(wildcard tests/unit/*_test.c)
FUZZ_TARGETS := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/%_fuzz)
# What they share; where libFuzzer is not, something else must call them.
FUZZ_SHARED := tests/fuzz/fuzz.c tests/fuzz/strict.c $(if $(FUZZ),,tests/fuzz/driver.c)
FUZZ_SECONDS := 60
# What the browser tests and the lint of the contract have from npm; npm writes this file last.
BROWSER := tests/browser/node_modules/.package-lock.json
CONTRACT := tests/contract/node_modules/.package-lock.json
# The bench's own: they share nothing with what they measure.
BENCH_PROGRAMS := $(BUILD)/tests/bench/load/load $(BUILD)/tests/bench/peers/limit/limit

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

.PHONY: help programs install install-files deb debtest run test sanitize tsan valgrind lint format sim soak faults screenshots bench fuzz deps clean FORCE

programs: $(BUILD)/fcgi-api/fcgi-api $(BUILD)/ws-relay/ws-relay $(BUILD)/admin/telemed-admin

help:
	@echo 'make run       build and serve on http://127.0.0.1:8080 (settings: .env.example)'
	@echo 'make programs  build/gcc/fcgi-api/fcgi-api, ws-relay/ws-relay and admin/telemed-admin'
	@echo 'make install   into PREFIX=/usr/local (DESTDIR= goes before it); docs/install.md'
	@echo 'make deb       build/deb/telemed_VERSION_ARCH.deb, for Debian 12'
	@echo 'make debtest   install that in a Debian tree of its own, run, upgrade, purge: root, and some minutes'
	@echo 'make test      every test; TESTS="e2e/rest" for some'
	@echo 'make sanitize  every test under ASan and UBSan'
	@echo 'make tsan      what has threads, and the end-to-end tests of who uses them, under TSan'
	@echo 'make valgrind  the end-to-end tests under valgrind: memory, and descriptors left open'
	@echo 'make lint      format, clang-tidy, gcc -fanalyzer, cppcheck, shellcheck, types, the layers, the contract'
	@echo 'make bench     measure against the peers (tests/bench): BENCH=smoke for a minute, CASES="storm" for some'
	@echo 'make fuzz      inputs that nobody thought of (tests/fuzz): FUZZ_SECONDS=60 for each target, TARGETS="json hub" for some'
	@echo 'make sim       the hub under random histories: SEED= N='
	@echo 'make faults    kill -9, full disks, no memory, wrong clocks: what needs minutes, or root'
	@echo 'make soak      the stack under random clients and faults: MINUTES=10 (or more), SEED='
	@echo 'make screenshots  the pictures in the README, anew'
	@echo 'make format    lay the C code out'
	@echo 'make clean     forget what was built'

# What runs from a checkout runs from PREFIX, and wherever that is moved to: nothing is written into it but, into the settings,
# where the data are. Settings that are there already stay.
DESTDIR :=
PREFIX := /usr/local
LIBDIR = $(DESTDIR)$(PREFIX)/lib/telemed
SHAREDIR = $(DESTDIR)$(PREFIX)/share
# A prefix /usr has its settings and data in /etc and /var.
BASE = $(PREFIX:%/usr=%)
SETTINGS = $(DESTDIR)$(BASE)/etc/telemed/telemed.conf

install: programs
	@$(MAKE) --no-print-directory install-files

# Of what has been built.
install-files:
	install -d $(LIBDIR)/fcgi-api $(LIBDIR)/ws-relay $(LIBDIR)/admin $(LIBDIR)/scripts $(DESTDIR)$(PREFIX)/bin $(dir $(SETTINGS))
	install $(BUILD)/fcgi-api/fcgi-api $(LIBDIR)/fcgi-api/
	install $(BUILD)/ws-relay/ws-relay $(LIBDIR)/ws-relay/
	install $(BUILD)/admin/telemed-admin $(LIBDIR)/admin/
	install scripts/run scripts/lighttpd scripts/prepare $(LIBDIR)/scripts/
	install -m 644 scripts/settings.sh $(LIBDIR)/scripts/
	install scripts/admin $(DESTDIR)$(PREFIX)/bin/telemed-admin
	install -d $(SHAREDIR)/telemed/www $(SHAREDIR)/telemed/fcgi-api/errors
	install -m 644 lighttpd.conf lighttpd-tls.conf $(SHAREDIR)/telemed/
	install -m 644 www/* $(SHAREDIR)/telemed/www/
	install -m 644 fcgi-api/errors/* $(SHAREDIR)/telemed/fcgi-api/errors/
	install -d $(SHAREDIR)/telemed/docs $(SHAREDIR)/doc/telemed/docs/images
	$(if $(wildcard docs/*.yaml),install -m 644 $(wildcard docs/*.yaml) $(SHAREDIR)/telemed/docs/)
	$(if $(wildcard docs/man/*.1),install -D -m 644 -t $(SHAREDIR)/man/man1 $(wildcard docs/man/*.1))
	$(if $(wildcard admin/*.bash),install -D -m 644 admin/telemed-admin.bash $(SHAREDIR)/bash-completion/completions/telemed-admin)
	$(if $(wildcard ops/*),install -D -m 644 -t $(SHAREDIR)/doc/telemed/ops $(wildcard ops/*))
	install -m 644 README.md CHANGELOG.md CONTRIBUTING.md LICENSE SECURITY.md $(SHAREDIR)/doc/telemed/
	install -m 644 .env.example $(SHAREDIR)/doc/telemed/settings.example
	install -m 644 $(wildcard docs/*.*) $(SHAREDIR)/doc/telemed/docs/
	install -m 644 docs/images/* $(SHAREDIR)/doc/telemed/docs/images/
	ln -sfn ../../telemed/www $(SHAREDIR)/doc/telemed/www
	[ -e $(SETTINGS) ] || sed 's|@STATE@|$(BASE)/var/lib/telemed|' telemed.conf | install -m 640 /dev/stdin $(SETTINGS)

deb: deps-deb
	@scripts/deb

debtest: deps-deb
	@tests/deb/run

run: deps-run
	@echo 'telemed: building $(BUILD)' >&2
	@$(MAKE) --no-print-directory -s programs
	@exec env --default-signal=INT,TERM scripts/run $(BUILD)

test: deps-test
	@$(MAKE) --no-print-directory -s programs tests $(BROWSER)
	@tests/run $(BUILD) $(TESTS)

sanitize:
	@$(MAKE) --no-print-directory test SANITIZE=1 CC=$(CC)

tsan: deps-lint
	@$(MAKE) --no-print-directory test SANITIZE=thread CC=clang TESTS='$(or $(TESTS),tests/unit _test.py)'

valgrind: deps-valgrind
	@$(MAKE) --no-print-directory -s programs
	@tests/valgrind/run $(BUILD) $(or $(TESTS),e2e/)

lint: deps-lint
	@$(MAKE) --no-print-directory -s $(SCHEMAS) $(BROWSER) $(CONTRACT)
	@tests/lint/run $(BUILD)

format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

deps-%:
	@scripts/deps $*

clean:
	rm -rf build

$(BUILD)/libtelemed.a: $(call objects,$(SHARED))
	rm -f $@
	ar rcs $@ $^

$(BUILD)/fcgi-api/fcgi-api: $(call objects,$(API)) $(BUILD)/libtelemed.a
	$(CC) $(LDFLAGS) -o $@ $^ -lfcgi $(LDLIBS)

$(BUILD)/ws-relay/ws-relay: $(call objects,$(RELAY)) $(BUILD)/libtelemed.a
	$(CC) $(LDFLAGS) -o $@ $^ -lwebsockets -lev $(LDLIBS)

$(BUILD)/admin/telemed-admin: $(call objects,$(ADMIN)) $(BUILD)/libtelemed.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lssl

.PHONY: tests
tests: $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT)) $(BUILD)/tests/sim/sim $(BENCH_PROGRAMS) $(FUZZ_PROGRAMS)

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libtelemed.a
	$(CC) $(LDFLAGS) $(WRAPPED:%=-Wl,--wrap=%) -o $@ $(filter %.o,$^) $(BUILD)/libtelemed.a -lcmocka $(LDLIBS)

$(BUILD)/tests/unit/stun_test: $(call objects,admin/stun.c)
$(BUILD)/tests/unit/hub_memory_test: $(call objects,$(HUB))
$(BUILD)/tests/unit/hub_memory_test: WRAPPED := malloc calloc realloc reallocarray strdup
$(BUILD)/tests/unit/outbox_test: $(call objects,ws-relay/outbox.c ws-relay/frame.c)
$(BUILD)/tests/unit/outbox_test: WRAPPED := calloc
$(BUILD)/tests/unit/slots_test: $(call objects,ws-relay/slots.c)
$(BUILD)/tests/unit/journal_test: $(call objects,$(addprefix ws-relay/,journal.c feed.c job.c trail.c))

$(BUILD)/tests/sim/sim: $(call objects,$(wildcard tests/sim/*.c) $(HUB)) $(BUILD)/libtelemed.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# With what of the programs a target runs, and instead of which parts of it are the target's own.
$(BUILD)/tests/fuzz/message_fuzz: $(call objects,$(HUB))
$(BUILD)/tests/fuzz/conn_fuzz: $(call objects,tests/fuzz/conn_db.c $(CONNECTIONS) $(addprefix ws-relay/,relay.c dispatch.c parked.c trail.c) $(HUB))
$(BUILD)/tests/fuzz/conn_fuzz: WRAPPED := clock_monotonic_ms clock_wall_ms
$(BUILD)/tests/fuzz/hub_fuzz: $(call objects,$(filter-out %/sim.c,$(wildcard tests/sim/*.c)) $(HUB))
$(BUILD)/tests/fuzz/rest_fuzz: $(call objects,$(filter-out %/main.c %/pool.c,$(API)))
$(BUILD)/tests/fuzz/rest_fuzz: WRAPPED := password_hash password_verify password_verify_nobody password_make_up store_end clock_wall_ms
$(BUILD)/tests/fuzz/address_fuzz: $(call objects,ws-relay/peers.c)
$(BUILD)/tests/fuzz/archive_fuzz: $(call objects,admin/archive.c)
$(BUILD)/tests/fuzz/stun_fuzz: $(call objects,admin/stun.c)
$(BUILD)/tests/fuzz/query_fuzz $(BUILD)/tests/fuzz/handshake_fuzz: $(call objects,ws-relay/gate.c)

$(FUZZ_PROGRAMS): %: %.o $(call objects,$(FUZZ_SHARED)) $(BUILD)/libtelemed.a
	$(CC) $(LDFLAGS) $(if $(FUZZ),-fsanitize=fuzzer) $(WRAPPED:%=-Wl,--wrap=%) -o $@ $(filter %.o,$^) $(BUILD)/libtelemed.a $(LDLIBS) -ljansson -lcmocka

# For what reads numbers: NAME is one, above 0.
.PHONY: known-targets
whole-%:
	@case '$($*)' in ''|0*|*[!0-9]*) echo 'telemed: $* must be a whole number above 0.' >&2; exit 2 ;; esac

known-targets:
	@$(if $(filter-out $(FUZZ_TARGETS),$(TARGETS)),echo 'telemed: TARGETS must be some of $(sort $(FUZZ_TARGETS)).' >&2; exit 2)

fuzz: whole-FUZZ_SECONDS known-targets deps-fuzz
	@$(MAKE) --no-print-directory -s FUZZ=1 CC=clang fuzz-programs
	@tests/fuzz/run build/clang-fuzz $(FUZZ_SECONDS) $(or $(TARGETS),$(FUZZ_TARGETS))

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS)

$(BUILD)/tests/bench/load/load: $(call objects,$(wildcard tests/bench/load/*.c))
	$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/tests/bench/peers/limit/limit: $(call objects,$(wildcard tests/bench/peers/limit/*.c))
	$(CC) $(LDFLAGS) -o $@ $^

# What the tests of faults preload into the programs.
$(BUILD)/tests/faults/shim.so: tests/faults/shim.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) -fPIC -shared -o $@ $<

faults: deps-test
	@$(MAKE) --no-print-directory -s programs $(BUILD)/tests/faults/shim.so
	@tests/run $(BUILD) --faults $(TESTS)

bench: deps-bench
	@$(MAKE) --no-print-directory -s programs $(BENCH_PROGRAMS)
	@tests/bench/run $(BUILD) $(addprefix --,$(filter smoke growth,$(BENCH))) $(CASES)

sim: $(BUILD)/tests/sim/sim
	$(BUILD)/tests/sim/sim $(if $(SEED),--seed $(SEED)) $(if $(N),--histories $(N))

MINUTES := 10
soak: whole-MINUTES deps-test
	@$(MAKE) --no-print-directory -s programs
	@TELEMED_BUILD=$(BUILD) tests/history/soak.py --seconds $$(($(MINUTES) * 60)) $(if $(SEED),--seed $(SEED))

$(BROWSER) $(CONTRACT): tests/%/node_modules/.package-lock.json: tests/%/package.json tests/%/package-lock.json
	@echo 'telemed: npm ci in tests/$*' >&2
	cd tests/$* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2

screenshots: deps-test
	@$(MAKE) --no-print-directory -s programs $(BROWSER)
	@TELEMED_BUILD=$(BUILD) node tests/browser/screenshots.mjs

# Private: not for the file of flags, which would change, and all be built again.
$(BUILD)/tests/%.o: private CPPFLAGS += -Iws-relay -Ifcgi-api
# The simulation judges the hub. What is of use for libFuzzer to see is the way that the hub goes.
$(BUILD)/tests/sim/%.o: private CFLAGS := $(filter-out -fsanitize=fuzzer-no-link,$(CFLAGS))

# Objects are made again when the flags change.
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS)' > $@

$(BUILD)/gen/schema_%.h: shared/store/schema/%_*.sql
	@mkdir -p $(@D)
	( echo 'static const char schema_$*[] ='; sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $<; echo ';' ) > $@

$(BUILD)/shared/store/migrate.o $(BUILD)/tests/unit/store_test.o: $(SCHEMAS)

# Not what a Debian tree (tests/deb) has by such names.
-include $(shell find build -path build/deb -prune -o -name '*.d' -print 2>/dev/null)
