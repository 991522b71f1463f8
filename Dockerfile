# syntax=docker/dockerfile:1
# Web and worker in one image: `run` starts both, `run --only web` or `--only worker` one of them.
#
#   docker build -t hookdesk .
#   docker run --read-only --tmpfs /tmp -v hookdesk:/data --env-file .env -p 8000:8000 hookdesk
#
# Any image with Python 3.11 or newer will do, pinned by digest if you like: --build-arg BASE=python:3.13-slim@sha256:…
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /srv/hookdesk
COPY requirements.lock ./
# Exactly what the lock names, by hash; everything comes built, so no stage needs a compiler.
RUN python3 -m venv --without-pip /opt/venv \
    && python3 -m venv /opt/pip \
    && /opt/pip/bin/pip --python /opt/venv/bin/python install \
        --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
COPY . .
RUN /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib config deliveries integrations notifications subscriptions

FROM ${BASE}
RUN groupadd --system --gid 10001 hookdesk \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --shell /usr/sbin/nologin hookdesk \
    && install -d -o hookdesk -g hookdesk -m 0700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/hookdesk /srv/hookdesk
WORKDIR /srv/hookdesk
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENV_FILE=/dev/null \
    DATABASE_URL=sqlite:////data/hookdesk.sqlite3
# By number, so that Kubernetes can tell that it is not root. Only /data (SQLite) and /tmp are written to.
USER 10001:10001
VOLUME /data
EXPOSE 8000
# The supervisor drains web and worker, for at most 20 seconds: give it 25 (`docker stop -t 25`).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "manage.py", "healthcheck"]
ENTRYPOINT ["python", "manage.py"]
CMD ["run", "--host", "0.0.0.0", "--port", "8000"]
